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


def diffuse(queues: list[list[int]], off: list[list[float]], ahead: list[float]) -> list[int]:
    """Error diffusion: of the next six of every queue the one that keeps the running sums nearest to zero.

    A queue that is ahead of its even pace is held back; the queue's head takes the place of what was picked out.
    """
    packs, queues, sums = len(off), [list(queue) for queue in queues], list(ahead)
    sizes, order = [len(queue) for queue in queues], []
    while any(queues):
        choices = []
        for number, queue in enumerate(queues):
            taken = sizes[number] - len(queue)
            lead = max(0.0, taken + 1 - sizes[number] * (len(order) + 1.0) / packs)
            for at, pack in enumerate(queue[:6]):
                error = 0.02 * lead * lead
                for total, value in zip(sums, off[pack], strict=True):
                    square = (total + value) * (total + value)
                    error += square + 1.0 * square * square
                choices.append((error, number, at))
        _, number, at = min(choices, key=lambda choice: choice[0])
        queue = queues[number]
        queue[0], queue[at] = queue[at], queue[0]
        pack = queue.pop(0)
        sums = [total + value for total, value in zip(sums, off[pack], strict=True)]
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
