"""Where documents come from: one section per kind of source.

Whatever the kind, a source has a name, a domain and a purpose. The domain is what the mixture weighs; the purpose says
whether its documents are for pretraining or are dialogues for SFT.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from lc_data.recipe.section import Section


class FieldNames(Section):
    """Which field of a record holds what. A field that a record lacks is null; a missing text is quarantined."""

    text: str = "text"
    id: str | None = "id"
    """Absent in a record: the id is made of the source's name and the record's address."""
    domain: str | None = None
    """Per-record domain; the source's ``domain`` is used where a record has none. Anything but text is quarantined."""
    license: str | None = "license"
    language: str | None = None
    source: str | None = None
    """Per-record provenance; by default the source's name, the file's path and the record's address."""
    metadata: tuple[str, ...] = ()
    """Further fields to keep, as one JSON object."""


class SourceBase(Section):
    """What every source has."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    """Unique in the recipe; the prefix of made-up ids."""
    domain: str = Field(min_length=1)
    """What the mixture weighs."""
    license: str | None = None
    """Licence of the documents that do not state their own."""
    language: str | None = None
    """Language of the documents, where it is known."""
    max_bytes: int | None = Field(default=None, gt=0)
    """Read about so many stored bytes of this source, in path order, up to a whole record: for trials."""
    max_document_bytes: int = Field(default=256 << 20, gt=0)
    """A document larger than this is quarantined: it bounds the memory of a worker."""

    @property
    def purpose(self) -> str:
        """``pretrain``, or ``sft`` for dialogues."""
        return "pretrain"


class PathSource(SourceBase):
    """A source that is read from files."""

    paths: tuple[str, ...] = Field(min_length=1)
    """Files, folders or globs, local or as URIs that fsspec knows (s3://, gs://, hf://, memory://). Files and globs are
    taken as they are; in folders, at any depth, the files with the extensions of the kind that are not hidden."""


class JsonlSource(PathSource):
    """JSON Lines: plain, .gz or .zst. Plain files are split by bytes."""

    kind: Literal["jsonl"]
    fields: FieldNames = FieldNames()


class ParquetSource(PathSource):
    """Parquet, split by row groups."""

    kind: Literal["parquet"]
    fields: FieldNames = FieldNames()


class ArrowSource(PathSource):
    """Arrow IPC files and streams, and Feather."""

    kind: Literal["arrow"]
    fields: FieldNames = FieldNames()


class TextSource(PathSource):
    """Folders of text, Markdown or TeX: one document a file."""

    kind: Literal["text"]
    extensions: tuple[str, ...] = (".txt", ".md", ".markdown", ".rst", ".tex")


class RepositorySource(SourceBase):
    """A source of repositories: which of their files count, and how many are joined to one document."""

    leave_out: tuple[Literal["vendored", "generated", "minified"], ...] = ()
    """Files that nobody wrote there are dropped under these reasons: those in folders such as ``vendor``,
    ``third_party`` and ``node_modules``; those that a generator marked at their head or by their name (``_pb2.py``,
    lock files); scripts and style sheets without line ends."""
    order: Literal["path", "imports"] = "path"
    """``imports``: a file comes after those of its repository that it imports, unless they import each other; equals in
    the order of their paths. Read are Python, C, C++, JavaScript, TypeScript, Go, Java and Rust. A repository that
    becomes several documents is cut in the order of paths and ordered within each."""
    unique_files: bool = False
    """True: a file that repeats an earlier one of its repository, byte for byte, is dropped as ``duplicate_file``."""
    max_joined_bytes: int = Field(default=16 << 20, gt=0)
    """A repository (a distribution, in an environment) with more than this becomes several documents, cut between
    files."""


class TreeSource(PathSource, RepositorySource):
    """Source trees: each path is a repository, its files joined into one document with parts."""

    kind: Literal["tree"]
    extensions: tuple[str, ...] = (".py", ".md", ".rst", ".c", ".h", ".cc", ".cpp", ".hpp", ".rs", ".go", ".js", ".ts",
                                   ".java", ".toml", ".yaml", ".yml", ".sh")  # fmt: skip
    join_files: bool = True
    """False: one document a file."""

    @model_validator(mode="after")
    def _unique_files_are_joined(self) -> TreeSource:
        if self.unique_files and not self.join_files:
            raise ValueError(
                "unique_files compares the files that are joined and join_files is false: the dedupe stage removes "
                "documents that are equal; leave unique_files out"
            )
        if self.order != "path" and not self.join_files:
            raise ValueError("order says how files are joined and join_files is false; leave order out")
        return self


class HtmlSource(PathSource):
    """HTML pages, their main text extracted by trafilatura."""

    kind: Literal["html"]
    max_document_bytes: int = Field(default=16 << 20, gt=0)
    """A page larger than this is quarantined: its parsed tree takes twenty times its size."""
    extensions: tuple[str, ...] = (".html", ".htm")


class WarcSource(PathSource):
    """WARC archives (.warc, .warc.gz): the main text of every HTML response, by trafilatura; WET text as it is."""

    kind: Literal["warc"]
    max_document_bytes: int = Field(default=16 << 20, gt=0)
    """A page larger than this is quarantined: its parsed tree takes twenty times its size."""


class ChatTurn(Section):
    """What stands around one role's message when a dialogue is written out as text."""

    before: str
    after: str


class ChatTemplate(Section):
    """How a dialogue becomes text. The default is the widely used im_start/im_end layout."""

    system: ChatTurn = ChatTurn(before="<|im_start|>system\n", after="<|im_end|>\n")
    user: ChatTurn = ChatTurn(before="<|im_start|>user\n", after="<|im_end|>\n")
    assistant: ChatTurn = ChatTurn(before="<|im_start|>assistant\n", after="<|im_end|>\n")
    """The loss is taken on the assistant's message and on what stands after it."""
    tool: ChatTurn = ChatTurn(before="<|im_start|>tool\n", after="<|im_end|>\n")
    """What a called function gave back."""

    @property
    def turns(self) -> dict[str, ChatTurn]:
        """Each role that a message may have, and what stands around its messages."""
        return {role: getattr(self, role) for role in type(self).model_fields}


class EnvironmentSource(RepositorySource):
    """The Python environment that runs this: a corpus that every machine has."""

    kind: Literal["environment"]
    what: Literal["code", "descriptions", "licences", "library_documentation", "dialogues"]
    """``code``: each installed distribution as a repository; ``descriptions``: their README-like descriptions;
    ``licences``: their licence files; ``library_documentation``: the standard library's own documentation;
    ``dialogues``: questions and answers made of the latter, for SFT."""
    exclude: tuple[str, ...] = ()
    """Distributions to leave out."""
    template: ChatTemplate = ChatTemplate()
    """For ``dialogues``: how one becomes text."""

    @model_validator(mode="after")
    def _only_code_has_repositories(self) -> EnvironmentSource:
        if self.what != "code" and (self.leave_out or self.unique_files or self.order != "path"):
            raise ValueError(f"leave_out, unique_files and order are for `what: code`; {self.what!r} joins no files")
        return self

    @property
    def purpose(self) -> str:
        """Dialogues are for SFT, everything else for pretraining."""
        return "sft" if self.what == "dialogues" else "pretrain"


class ChatSource(PathSource):
    """Dialogues: JSON Lines whose records hold ``messages``, a list of ``{role, content}``."""

    kind: Literal["chat"]
    messages: str = "messages"
    fields: FieldNames = FieldNames()
    template: ChatTemplate = ChatTemplate()

    @property
    def purpose(self) -> str:
        """Dialogues are for SFT."""
        return "sft"


Source = Annotated[
    JsonlSource
    | ParquetSource
    | ArrowSource
    | TextSource
    | TreeSource
    | HtmlSource
    | WarcSource
    | EnvironmentSource
    | ChatSource,
    Field(discriminator="kind"),
]


class IngestSection(Section):
    """How sources are read."""

    max_quarantined_share: float = Field(default=0.05, ge=0, le=1)
    """The stage fails when a larger share of the records, or of the stored bytes, had to be quarantined."""
    task_bytes: int = Field(default=64 << 20, gt=0)
    """Stored bytes that one task reads, where a file can be split."""
    shard_bytes: int = Field(default=128 << 20, gt=0)
    """Text in one document shard, at most (unless one document is larger)."""
    max_record_bytes: int = Field(default=512 << 20, gt=0)
    """A record longer than this after decompression is quarantined unread: a bomb must not fill the memory."""

    @model_validator(mode="after")
    def _shards_hold_a_batch(self) -> IngestSection:
        if self.shard_bytes < 1 << 16:
            raise ValueError(f"shard_bytes is {self.shard_bytes}; the least that makes sense is 65536")
        return self
