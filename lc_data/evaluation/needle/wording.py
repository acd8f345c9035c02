"""The sentences that are hidden, the questions about them, and the names in both; English and Chinese.

They are made of parts, so that a thousand needles differ in name and answer and in nothing else.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from lc_data.evaluation.haystack import Language

_Parts = dict[Language, tuple[str, str]]
"""First and second parts of names, by language."""

_PLACES: _Parts = {
    "en": (
        (
            "Alder Brindle Corvin Dunmere Elsing Farrow Gannet Hollin Ivel Juniper Kestrel Larkin Morrow "
            "Nettle Osprey Pennick Quill Rushford Sallow Tarn"
        ),
        "Hall Mill Cove Point Bridge Lodge Quay Tower Farm Station",
    ),
    "zh": (
        ("柳溪 云岭 白沙 青岩 松湾 竹坞 梅坡 石桥 清潭 雁塘 桐冈 枫林 鹿原 鹤汀 杏村 荷渚 霜台 月浦 星野 风陵"),
        "磨坊 渡口 书院 驿站 茶馆 船坞 钟楼 药铺 学堂 粮仓",
    ),
}
_THINGS: _Parts = {
    "en": (
        (
            "blue cracked copper striped wooden rusty glass yellow velvet marble crooked painted iron silver "
            "woven broken green leather square folded"
        ),
        "kettle bell lantern basket mirror anvil barrel compass teapot ladder",
    ),
    "zh": (
        ("蓝色 破旧 黄铜 条纹 木制 生锈 玻璃 金色 丝绒 大理石 歪斜 彩绘 铁皮 银色 竹编 缺角 绿色 皮质 方形 折叠"),
        "水壶 铃铛 灯笼 篮子 镜子 铁砧 木桶 罗盘 茶壶 梯子",
    ),
}
_PEOPLE: _Parts = {
    "en": (
        (
            "Mira Tobin Ansel Greta Ivo Lena Oskar Petra Quentin Rosa Silas Thea Ulric Vera Wendel Yara Zeno "
            "Britta Caspar Dora Emil Freya Gustav Hedda Jonas Klara"
        ),
        (
            "Holt Marsh Pike Rowe Strand Thorne Vale Wick Ash Birch Crane Drake Elm Finch Grove Heath Isle "
            "Kerr Lane Moss North Orme Pell Quarry Reed Stone"
        ),
    ),
    "zh": (
        "赵 钱 孙 李 周 吴 郑 王 冯 陈 卫 蒋 沈 韩 杨 朱 秦 许 何 吕 张 孔 曹 严 华 金",
        (
            "明远 静怡 思源 雨桐 嘉树 若兰 子墨 春晖 晓岚 志恒 文博 秋实 云舒 海涛 佩瑶 立言 梦溪 学敏 长风 "
            "淑仪 启航 婉清 承志 雪莹 光耀 念慈"
        ),
    ),
}
_JOINT: dict[Language, str] = {"en": " ", "zh": ""}


def draw_places(language: Language, count: int, source: random.Random) -> list[str]:
    """Different names of places."""
    return _draw(_PLACES, language, count, source)


def draw_things(language: Language, count: int, source: random.Random) -> list[str]:
    """Different things."""
    return _draw(_THINGS, language, count, source)


def draw_people(language: Language, count: int, source: random.Random) -> list[str]:
    """Different names of people, at most 676."""
    return _draw(_PEOPLE, language, count, source)


def _draw(parts: _Parts, language: Language, count: int, source: random.Random) -> list[str]:
    first, second = (words.split() for words in parts[language])
    numbers = source.sample(range(len(first) * len(second)), count)
    return [first[number // len(second)] + _JOINT[language] + second[number % len(second)] for number in numbers]


@dataclass(frozen=True)
class KeyWording:
    """A key that lies under a thing: the needle of the single and the parallel task."""

    language: Language

    def sentence(self, place: str, thing: str) -> str:
        """The needle."""
        return {
            "en": f"The spare key of {place} lies under the {thing}.",
            "zh": f"{place}的备用钥匙放在{thing}下面。",
        }[self.language]

    def lead(self, place: str) -> str:
        """The beginning of the needle, up to its answer."""
        return {"en": f"The spare key of {place} lies under the", "zh": f"{place}的备用钥匙放在"}[self.language]

    def single(self, text: str, place: str, with_lead: bool) -> str:
        """The prompt of the single task."""
        lead = (" " if self.language == "en" else "") + self.lead(place) if with_lead else ""
        return {
            "en": (
                "Somewhere in the text below a spare key is mentioned. Read the text, then say where the key is.\n\n"
                f"{text}\n\nQuestion: Under what does the spare key of {place} lie?\nAnswer:{lead}"
            ),
            "zh": (
                "下面的文字里有一处提到了备用钥匙。请先通读文字，再说出钥匙在哪里。\n\n"
                f"{text}\n\n问题：{place}的备用钥匙放在什么下面？\n回答：{lead}"
            ),
        }[self.language]

    def parallel(self, text: str, places: Sequence[str]) -> str:
        """The prompt of the parallel task."""
        return {
            "en": (
                "In several places of the text below a spare key is mentioned. Read the text, then say where each key "
                f"is.\n\n{text}\n\nQuestion: Under what do these spare keys lie? {'; '.join(places)}. Answer with one "
                "line for each, in this order.\nAnswer:\n"
            ),
            "zh": (
                "下面的文字里有几处提到了备用钥匙。请先通读文字，再说出每把钥匙在哪里。\n\n"
                f"{text}\n\n问题：以下各处的备用钥匙放在什么下面？{'；'.join(places)}。请按此顺序每处回答一行。\n回答：\n"
            ),
        }[self.language]


@dataclass(frozen=True)
class HandoverWording:
    """A thing that goes from hand to hand: several needles that lead to one answer."""

    language: Language

    def sentence(self, thing: str, giver: str, taker: str) -> str:
        """One of the needles."""
        return {
            "en": f"Then {giver} handed the {thing} on to {taker}.",
            "zh": f"后来{giver}把{thing}交给了{taker}。",
        }[self.language]

    def prompt(self, text: str, thing: str, first: str) -> str:
        """The prompt of the task."""
        return {
            "en": (
                f"The text below tells, sentence by sentence and far apart, how the {thing} went from hand to hand.\n\n"
                f"{text}\n\nQuestion: The {thing} was with {first} first. Who has it in the end?\n"
                "Answer: In the end it is with"
            ),
            "zh": (
                f"下面的文字分散地讲述了{thing}如何一次次易手。\n\n"
                f"{text}\n\n问题：{thing}最初在{first}手中，最后在谁手中？\n回答：最后在"
            ),
        }[self.language]


@dataclass(frozen=True)
class AncestryWording:
    """Who descends from whom, told out of order: the Ancestral Trace."""

    language: Language

    def sentence(self, elder: str, younger: str, number: int) -> str:
        """One link of the chain; every number of one language gives another form."""
        forms = {
            "en": (
                f"{elder} is the mother of {younger}.",
                f"{younger} is a child of {elder}.",
                f"The father of {younger} is called {elder}.",
                f"{elder} raised {younger}, a child of {elder}'s own.",
            ),
            "zh": (
                f"{elder}是{younger}的母亲。",
                f"{younger}是{elder}的孩子。",
                f"{younger}的父亲名叫{elder}。",
                f"{elder}养大了自己的孩子{younger}。",
            ),
        }[self.language]
        return forms[number % len(forms)]

    def prompt(self, links: Sequence[str], youngest: str) -> str:
        """The prompt of the task."""
        return {
            "en": (
                "Each line below says who is whose parent. Sexes do not matter, only who comes before whom.\n\n"
                + "\n".join(links)
                + f"\n\nGo back from {youngest}, parent by parent, as far as the lines tell. Who is the earliest "
                "ancestor? Put the name at the end, as in \\boxed{name}.\n"
            ),
            "zh": (
                "下面每行说明谁是谁的父母。不论男女，只看辈分先后。\n\n"
                + "\n".join(links)
                + f"\n\n从{youngest}出发，逐代向上追溯，直到文中没有记载。最早的祖先是谁？"
                "请把姓名写在最后，形如\\boxed{姓名}。\n"
            ),
        }[self.language]
