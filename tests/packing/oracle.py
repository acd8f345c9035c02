"""Plain Python that says the same as the kernels, slowly and obviously."""

from __future__ import annotations


def best_fit(lengths: list[int], capacity: int) -> tuple[list[int], list[int]]:
    """Best-fit decreasing by looking at every pack for every piece."""
    free: list[int] = []
    filled_at: list[int] = []
    pack = [0] * len(lengths)
    for step, piece in enumerate(sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))):
        fitting = [p for p in range(len(free)) if free[p] >= lengths[piece]]
        if fitting:
            target = min(fitting, key=lambda p: (free[p], -filled_at[p]))
        else:
            target = len(free)
            free.append(capacity)
            filled_at.append(0)
        free[target] -= lengths[piece]
        filled_at[target] = step
        pack[piece] = target
    return pack, free


def diffuse(queues: list[list[int]], tokens: list[list[float]]) -> list[int]:
    """Error diffusion: always the queue head that brings the running sums nearest to the mean."""
    packs, kinds = len(tokens), len(tokens[0]) if tokens else 0
    mean = [sum(row[k] for row in tokens) / packs for k in range(kinds)] if packs else []
    queues = [list(queue) for queue in queues]
    ahead = [0.0] * kinds
    order = []
    while any(queues):
        waiting = [queue for queue in queues if queue]
        best = min(
            waiting, key=lambda queue: sum((ahead[k] + tokens[queue[0]][k] - mean[k]) ** 2 for k in range(kinds))
        )
        pack = best.pop(0)
        ahead = [ahead[k] + (tokens[pack][k] - mean[k]) for k in range(kinds)]
        order.append(pack)
    return order


def splitmix(key: int, count: int) -> list[int]:
    """The splitmix64 sequence as in Vigna's public-domain reference, word by word."""
    state, words = key, []
    for _ in range(count):
        state = (state + 0x9E3779B97F4A7C15) % 2**64
        z = state
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
        words.append(z ^ (z >> 31))
    return words
