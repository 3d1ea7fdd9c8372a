"""Made-up everyday gestures.

A motion fills a figure for the phases ``u`` (T,), where 0 to 1 is one performance.
"""

import numpy as np

from maskclr_edge.data.made_up.figure import SIDES, Array, Figure, keys, rotation


def _side(rng: np.random.Generator) -> tuple[int, float]:
    """Left- or right-handed, mostly right."""
    return SIDES[0] if rng.random() < 0.2 else SIDES[1]


def wave(figure: Figure, u: Array, rng: np.random.Generator) -> None:
    """One raised hand waves from side to side."""
    side, sign = _side(rng)
    up = keys(u, [0, 0.15, 0.85, 1], [0, 1, 1, 0])
    sway = up * rng.uniform(0.18, 0.3) * np.sin(2 * np.pi * u * rng.integers(3, 6))
    high = rng.uniform(0.25, 0.6)
    offset = np.stack([0.3 + 0.1 * up + sway, -0.9 + (0.9 + high) * up, 0.1 + 0.25 * up], axis=-1)
    figure.hands[side] = figure.from_chest(side, offset)
    figure.elbows[side] = [sign * 0.7, -1, 0.1]


def punch(figure: Figure, u: Array, rng: np.random.Generator) -> None:
    """From a guard, one fist forward and back, with a turn of the shoulders."""
    side, sign = _side(rng)
    out = keys(u, [0, 0.3, 0.5, 0.6, 0.9, 1], [0, -0.1, 1, 1, 0, 0])
    figure.pelvis[:, 1] -= 0.04
    figure.pelvis[:, 2] += 0.08 * out
    figure.turn(rotation(6, yaw=sign * 15 * out), rotation(10, yaw=sign * 35 * out), rotation(5))
    for one, one_sign in SIDES:
        figure.feet[one] = [one_sign * 0.12, 0, -one_sign * sign * 0.2]
        figure.hands[one] = figure.from_chest(one, (-0.1, 0.1, 0.42))
        figure.elbows[one] = [one_sign * 0.4, -1, 0]
    extent = np.stack([-0.1 - 0.1 * out, 0.1 - 0.05 * out, 0.42 + 0.55 * out], axis=-1)
    figure.hands[side] = figure.from_chest(side, extent)


def kick(figure: Figure, u: Array, rng: np.random.Generator) -> None:
    """One foot forward and up, and back, while the arms balance."""
    side, sign = _side(rng)
    body = figure.body
    lift = keys(u, [0, 0.2, 0.5, 0.6, 1], [0, -0.15, 1, 1, 0])
    angle = np.radians(rng.uniform(60, 95) * lift)
    lean = -18 * np.maximum(lift, 0)
    figure.turn(rotation(lean * 0.6), rotation(lean), rotation(lean * 0.3))
    hip = figure.hip(side)
    stretch = body.leg * (0.98 - 0.25 * np.sin(np.pi * np.clip(np.abs(lift), 0, 1)))
    figure.feet[side] = hip + np.stack([0 * u, -np.cos(angle) * stretch, np.sin(angle) * stretch], axis=-1)
    for one, one_sign in SIDES:
        apart = np.stack(
            [0.3 + 0.4 * np.abs(lift), -0.85 + 0.5 * np.abs(lift), -one_sign * sign * 0.25 * lift], axis=-1
        )
        figure.hands[one] = figure.from_chest(one, apart)


def clap(figure: Figure, u: Array, rng: np.random.Generator) -> None:
    """Hands meet in front of the chest, several times."""
    apart = (1 + np.cos(2 * np.pi * u * rng.integers(3, 6))) / 2
    high = rng.uniform(-0.35, 0.0)
    for side, sign in SIDES:
        inward = -figure.body.shoulder_width / 2 / figure.body.arm
        offset = np.stack(
            [inward + 0.06 + rng.uniform(0.35, 0.55) * apart, high + 0 * u, 0.55 - 0.1 * apart], axis=-1
        )
        figure.hands[side] = figure.from_chest(side, offset)
        figure.elbows[side] = [sign * 0.8, -1, -0.1]


def bow(figure: Figure, u: Array, rng: np.random.Generator) -> None:
    """The trunk bends forward from the hips and rises again."""
    down = keys(u, [0, 0.4, 0.6, 1], [0, 1, 1, 0])
    lean = rng.uniform(50, 85) * down
    figure.pelvis[:, 2] -= 0.12 * down
    figure.turn(rotation(lean * 0.8), rotation(lean), rotation(lean * 1.1))
    folded = rng.random() < 0.5
    for side, sign in SIDES:
        if folded:
            figure.hands[side] = figure.from_chest(side, (0.0, -0.9, 0.12))
        figure.elbows[side] = [sign * 0.5, -0.3, -1]
    if not folded:
        figure.hang()


def lunge(figure: Figure, u: Array, rng: np.random.Generator) -> None:
    """A long step forward, down until the rear knee nears the floor, and back."""
    side, _ = _side(rng)
    body = figure.body
    out = keys(u, [0, 0.3, 0.5, 0.7, 1], [0, 0.85, 1, 0.85, 0])
    step = rng.uniform(0.65, 0.85)
    figure.pelvis[:, 1] -= 0.42 * body.leg * out**2
    figure.pelvis[:, 2] += 0.5 * step * out
    figure.turn(rotation(5 * out), rotation(8 * out))
    lift = 0.08 * np.sin(np.pi * np.clip(out, 0, 1))
    figure.feet[side] = figure.feet[side] + np.stack([0 * u, lift, step * out], axis=-1)
    figure.feet[1 - side] = figure.feet[1 - side] + np.stack([0 * u, 0.06 * out, -0.12 * out], axis=-1)
    on_hips = rng.random() < 0.6
    figure.hang()
    for one, sign in SIDES:
        if on_hips:
            figure.hands[one] = figure.hip(one) + np.array([sign * 0.05, 0.08, 0.02])
            figure.elbows[one] = [sign * 1.0, 0, -0.6]


def throw(figure: Figure, u: Array, rng: np.random.Generator) -> None:
    """Overarm: the hand goes back above the shoulder, then forward and down across the body, with a step."""
    side, sign = _side(rng)
    times = [0.0, 0.25, 0.45, 0.6, 0.7, 0.85, 1.0]
    turn = sign * keys(u, times, [0, -30, -55, -20, 25, 40, 30])
    lean = keys(u, times, [0, -4, -10, 5, 20, 25, 15])
    figure.pelvis[:, 2] += keys(u, times, [0, 0, 0.1, 0.3, 0.4, 0.4, 0.4])
    figure.pelvis[:, 1] -= keys(u, times, [0, 0, 0.03, 0.08, 0.1, 0.06, 0.03])
    figure.turn(rotation(lean * 0.5, yaw=turn * 0.5), rotation(lean, yaw=turn), rotation(lean * 0.5))
    step = keys(u, times, [0, 0, 0.3, 0.6, 0.65, 0.65, 0.65])
    figure.feet[1 - side] = figure.feet[1 - side] + np.stack([0 * u, 0 * u, step], axis=-1)
    arm = keys(u, times, [[0.1, -0.7, 0.3], [0.5, 0.0, -0.2], [0.45, 0.45, -0.35], [0.3, 0.65, 0.2],
                          [0.1, 0.35, 0.85], [-0.4, -0.45, 0.6], [-0.3, -0.75, 0.3]])  # fmt: skip
    figure.hands[side] = figure.from_chest(side, arm)
    figure.elbows[side] = np.einsum("tij,j->ti", figure.chest, np.array([sign * 1.0, -0.2, -0.2]))
    other = keys(u, times, [[0.1, -0.8, 0.2], [0.0, -0.1, 0.8], [0.2, 0.05, 0.9], [0.3, -0.4, 0.4],
                            [0.3, -0.6, -0.1], [0.3, -0.7, -0.2], [0.3, -0.8, 0.0]])  # fmt: skip
    figure.hands[1 - side] = figure.from_chest(1 - side, other)


def raise_arms(figure: Figure, u: Array, rng: np.random.Generator) -> None:
    """Both arms rise in front or at the sides to overhead and sink again; the feet stay."""
    up = keys(u, [0, 0.4, 0.6, 1], [0, 1, 1, 0])
    sideways = rng.uniform(0, 1)
    angle = np.radians(5 + rng.uniform(150, 172) * up)
    for side, sign in SIDES:
        out, ahead = np.sin(angle) * sideways, np.sin(angle) * np.sqrt(1 - sideways**2)
        figure.hands[side] = figure.from_chest(
            side, np.stack([0.12 + 0.85 * out, -0.95 * np.cos(angle), 0.95 * ahead], -1)
        )
        figure.elbows[side] = [sign * 0.6, -0.5, -0.5]
