"""Made-up exercises, named like Penn Action's classes where they show the same exercise.

A motion fills a figure for the phases ``u`` (T,), where 0 to 1 is one performance.
"""

import numpy as np

from maskclr_edge.data.made_up.figure import SIDES, Array, Figure, keys, rotation


def _up_down(u: Array) -> Array:
    """0 at the ends of a repetition, 1 in its middle, at rest in both."""
    return np.asarray((1 - np.cos(2 * np.pi * u)) / 2)


def squat(figure: Figure, u: Array, rng: np.random.Generator) -> None:
    """Barbell back squat: hands beside the shoulders, hips back and down."""
    body, down = figure.body, _up_down(u) ** rng.uniform(0.7, 1.0)
    depth, width = rng.uniform(0.48, 0.62), rng.uniform(0.85, 1.4)
    figure.pelvis[:, 1] -= down * depth * body.leg
    figure.pelvis[:, 2] -= down * 0.32 * body.thigh
    lean = down * rng.uniform(22, 42)
    figure.turn(rotation(lean * 0.9), rotation(lean), rotation(lean * 0.2))
    out, high = rng.uniform(0.25, 0.6), rng.uniform(-0.05, 0.15)
    for side, sign in SIDES:
        figure.feet[side] = [sign * body.hip_width * width, 0, 0]
        figure.knees[side] = [sign * 0.35, 0, 1]
        figure.hands[side] = figure.from_chest(side, (out, high, 0.05))
        figure.elbows[side] = [sign * 0.3, -1, -0.35]


def jumping_jacks(figure: Figure, u: Array, rng: np.random.Generator) -> None:
    """Feet apart and arms overhead, and back, with a hop each way."""
    open_ = _up_down(u)
    spread = rng.uniform(0.28, 0.45)
    bent, top = rng.uniform(0.0, 0.35), rng.uniform(150, 172)
    hop = 0.06 * np.sin(2 * np.pi * u) ** 2
    figure.pelvis[:, 1] += hop - open_ * spread * 0.18
    swing = np.radians(12 + (top - 12) * open_)
    for side, sign in SIDES:
        figure.feet[side] = np.stack([sign * (0.09 + open_ * spread), hop, 0 * u], axis=-1)
        stretch = 0.97 - bent * 0.5 * np.sin(np.pi * open_) - 0.1 * open_
        offset = np.stack([np.sin(swing) * stretch, -np.cos(swing) * stretch, 0.05 + 0 * u], axis=-1)
        figure.hands[side] = figure.from_chest(side, offset)
        figure.elbows[side] = np.stack([sign * (0.2 + open_), 0.2 - open_ * 0.2, -0.5 + 0 * u], axis=-1)


def pushup(figure: Figure, u: Array, rng: np.random.Generator) -> None:
    """Hands and toes on the floor, body straight, down and up."""
    body, down = figure.body, _up_down(u)
    length = body.trunk + body.leg
    high, low = body.arm * 0.97, rng.uniform(0.10, 0.2)
    height = high + (low - high) * down * rng.uniform(0.9, 1.0)
    toes = 0.10
    sag = rng.normal(0, 3)
    angle = np.degrees(np.arcsin(np.clip((height - toes) / length, 0, 0.95)))
    pitch = 90 - angle
    figure.pelvis = np.stack(
        [0 * u, toes + body.leg * np.sin(np.radians(angle)), -body.leg * np.cos(np.radians(angle)) * -1], -1
    )
    figure.turn(rotation(pitch + sag), rotation(pitch - sag), rotation(pitch - rng.uniform(10, 50)))
    reach_z = figure.neck()[:, 2].mean()
    wide = rng.uniform(1.0, 1.7)
    for side, sign in SIDES:
        figure.feet[side] = [sign * 0.08, toes, 0]
        figure.hands[side] = [sign * body.shoulder_width / 2 * wide, 0, reach_z + rng.uniform(-0.02, 0.02)]
        figure.elbows[side] = [sign * rng.uniform(0.4, 1.0), 0.4, -0.8]
        figure.knees[side] = [0, -1, 0.2]


def situp(figure: Figure, u: Array, rng: np.random.Generator) -> None:
    """From lying with bent knees to sitting, hands at the head or on the chest."""
    up = _up_down(u)
    rise = rng.uniform(75, 105)
    flat = rng.uniform(-88, -80)
    curl = 25 * np.sin(np.pi * up)
    figure.pelvis = np.tile([0, 0.10, 0.0], (figure.frames, 1))
    figure.turn(
        rotation(flat + up * rise * 0.8),
        rotation(flat + up * rise + curl * 0.6),
        rotation(flat + up * rise + curl + rng.uniform(0, 20)),
    )
    at_head = rng.random() < 0.75
    feet = rng.uniform(0.40, 0.55)
    for side, sign in SIDES:
        figure.feet[side] = [sign * 0.11, 0.02, feet]
        figure.knees[side] = [0, 1, 0.2]
        figure.hands[side] = figure.from_chest(side, (-0.12, 0.32, 0.06) if at_head else (-0.5, -0.25, 0.3))
        wing = (sign * 0.8, 0.5, 0.6) if at_head else (sign * 0.7, -0.6, 0.3)
        figure.elbows[side] = np.einsum("tij,j->ti", figure.chest, np.array(wing))


def pullup(figure: Figure, u: Array, rng: np.random.Generator) -> None:
    """Hanging from a bar, pulled up until the chin is above it."""
    body, up = figure.body, _up_down(u)
    grip = rng.uniform(1.0, 1.7) * body.shoulder_width / 2
    pull = body.arm * rng.uniform(0.8, 0.95)
    bar = 2.3
    figure.pelvis = np.stack(
        [0 * u, bar - body.arm * 0.97 - body.trunk + pull * up, -0.05 - 0.12 * np.sin(np.pi * up)], axis=-1
    )
    lean = -12 * up + rng.normal(0, 2)
    figure.turn(rotation(lean), rotation(lean), rotation(-15 * up))
    knee_bend = rng.uniform(0.0, 0.5)
    for side, sign in SIDES:
        figure.hands[side] = [sign * grip, bar, 0]
        figure.elbows[side] = [sign * 0.8, -0.8, 0.2]
        hang = np.array([sign * 0.08, -body.leg * (0.99 - 0.25 * knee_bend), -0.5 * knee_bend])
        figure.feet[side] = figure.pelvis + hang


def jump_rope(figure: Figure, u: Array, rng: np.random.Generator) -> None:
    """Small jumps with the hands turning beside the hips; a performance is several jumps."""
    phase = 2 * np.pi * u * rng.integers(2, 5)
    hop = rng.uniform(0.05, 0.12) * np.maximum(np.sin(phase), -0.25)
    figure.pelvis[:, 1] += hop - 0.03
    out, low = rng.uniform(0.35, 0.6), rng.uniform(-0.75, -0.5)
    turn = 0.08
    lean = rng.uniform(0, 6)
    figure.turn(rotation(lean), rotation(lean))
    for side, sign in SIDES:
        circle = np.stack([out + 0 * u, low + turn * np.sin(phase), 0.22 + turn * np.cos(phase)], axis=-1)
        figure.hands[side] = figure.from_chest(side, circle)
        figure.elbows[side] = [sign * 0.3, -0.4, -1]
        figure.feet[side] = np.stack(
            [sign * 0.07 + 0 * u, np.maximum(hop, 0), -0.05 * np.maximum(hop, 0)], axis=-1
        )


def bench_press(figure: Figure, u: Array, rng: np.random.Generator) -> None:
    """On the back on a bench, a bar lowered to the chest and pressed up."""
    body, down = figure.body, _up_down(u)
    bench = 0.48
    figure.pelvis = np.tile([0.0, bench, 0.0], (figure.frames, 1))
    figure.turn(rotation(-88), rotation(-92), rotation(-80))
    grip = rng.uniform(1.3, 1.9)
    press = body.arm * (0.96 - rng.uniform(0.62, 0.75) * down)
    slide = 0.12 * down
    for side, sign in SIDES:
        figure.feet[side] = [sign * 0.26, 0.0, 0.36]
        figure.knees[side] = [sign * 0.4, 1, 0.6]
        base = figure.shoulder(side).mean(axis=0)
        figure.hands[side] = np.stack(
            [sign * body.shoulder_width / 2 * grip + 0 * u, base[1] + press, base[2] + slide], axis=-1
        )
        figure.elbows[side] = [sign * 1.0, -0.6, 0.5]


def clean_and_jerk(figure: Figure, u: Array, rng: np.random.Generator) -> None:
    """A bar from the floor to the shoulders, a rest, and overhead."""
    body = figure.body
    times = [0.0, 0.12, 0.2, 0.26, 0.34, 0.68, 0.72, 0.78, 0.9, 1.0]
    sink = keys(u, times, [0.46, 0.12, 0.0, 0.40, 0.02, 0.0, 0.12, 0.14, 0.0, 0.0])
    lean = keys(u, times, [62, 25, -4, 14, 2, 0, 0, 0, 0, 0])
    bar = keys(u, times, [0.22, 0.75, 1.05, 0.86, 1.38, 1.40, 1.28, 1.92, 2.0, 2.0]) * (body.leg / 0.87)
    ahead = keys(u, times, [0.20, 0.18, 0.16, 0.20, 0.17, 0.17, 0.16, 0.04, 0.0, 0.0])
    figure.pelvis[:, 1] -= sink * body.leg
    figure.pelvis[:, 2] -= 0.35 * sink
    figure.turn(rotation(lean * 0.9), rotation(lean), rotation(lean * 0.4))
    split = keys(u, times, [0, 0, 0, 0, 0, 0, 0, 0.3, 0.05, 0.0]) * rng.uniform(0.2, 1)
    racked = keys(u, times, [0, 0, 0.1, 1, 1, 1, 1, 0.2, 0, 0])
    grip = rng.uniform(1.15, 1.5)
    for side, sign in SIDES:
        figure.feet[side] = np.stack([sign * 0.15 + 0 * u, 0 * u, sign * split], axis=-1)
        figure.hands[side] = np.stack([sign * body.shoulder_width / 2 * grip + 0 * u, bar, ahead], axis=-1)
        elbow = np.stack([sign * (1 - 0.5 * racked), -0.3 - 0.5 * racked, -0.6 + 1.2 * racked], axis=-1)
        figure.elbows[side] = elbow
        figure.knees[side] = [sign * 0.3, 0, 1]


def strum_guitar(figure: Figure, u: Array, rng: np.random.Generator) -> None:
    """Seated or standing: the left hand on the neck of a guitar, the right hand strumming across the body."""
    phase = 2 * np.pi * u * rng.integers(2, 5)
    lean = rng.uniform(0, 14)
    nod = rng.uniform(0, 25)
    figure.turn(rotation(lean * 0.5), rotation(lean), rotation(lean + nod))
    if rng.random() < 0.8:
        figure.pelvis[:, 1] = 0.46
        for side, sign in SIDES:
            figure.feet[side] = [sign * 0.16, 0, 0.42]
            figure.knees[side] = [sign * 0.2, 1, 0.5]
    strum = rng.uniform(0.06, 0.16) * np.sin(phase)
    figure.hands[1] = figure.from_chest(1, np.stack([-0.30 + 0 * u, -0.62 + strum, 0.35 + 0 * u], axis=-1))
    figure.elbows[1] = [-1.0, -0.3, -0.2]
    fret = rng.uniform(0, 0.15)
    figure.hands[0] = figure.from_chest(0, (0.3 + fret, -0.42, 0.5))
    figure.elbows[0] = [0.3, -1, -0.2]
