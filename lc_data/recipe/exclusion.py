"""Documents that must leave: a licence withdrawn, a person's request, a source that should never have been there."""

from __future__ import annotations

from lc_data.recipe.section import Section


class ExclusionSection(Section):
    """What is taken out of the packs of a run that is already tokenised.

    Only the pack stage runs again, and only the packs that held an excluded document change: all others stay what they
    are, byte for byte, under their numbers. The tokens themselves stay on disk, below ``bucket``, and the text below
    the stages before it, until the recipe is run anew from sources without them.
    """

    ids: tuple[str, ...] = ()
    """Ids of documents, as ``lc-data trace`` and the shards name them. One that the run never had is an error; one that
    an earlier stage dropped is not."""
    ids_file: str | None = None
    """A text file of ids, one a line, for many. What it holds counts, not its name: a changed file packs again."""
    sources: tuple[str, ...] = ()
    """Where documents came from: the ``source`` of a document, or the beginning of it up to a ``/``."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing is excluded."""
        return not (self.ids or self.ids_file or self.sources)
