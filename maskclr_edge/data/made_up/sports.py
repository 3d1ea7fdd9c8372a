"""Made-up sports, right-handed, named like Penn Action's classes.

A motion fills a figure for the phases ``u`` (T,), where 0 to 1 is one performance.
"""

import numpy as np

from maskclr_edge.data.made_up.figure import SIDES, Array, Figure, keys, rotation


def bowl(figure: Figure, u: Array, rng: np.random.Generator) -> None:
    """Ten-pin bowling: steps with a back swing, a slide on the left foot, release, follow-through."""
    body = figure.body
    times = [0.0, 0.2, 0.4, 0.55, 0.68, 0.8, 1.0]
    travel = keys(u, times, [0, 0.35, 0.95, 1.4, 1.8, 1.95, 2.0]) * rng.uniform(0.8, 1.2)
    sink = keys(u, times, [0.04, 0.06, 0.08, 0.14, 0.32, 0.34, 0.28])
    lean = keys(u, times, [12, 18, 28, 45, 55, 48, 38])
    figure.pelvis[:, 1] -= sink * body.leg
    figure.pelvis[:, 2] = travel
    figure.turn(
        rotation(lean * 0.8),
        rotation(lean, yaw=keys(u, times, [0, 0, -10, -25, -5, 15, 20])),
        rotation(lean * 0.3),
    )
    swing = np.radians(keys(u, times, [35, 15, -40, -95, -10, 75, 130]))
    bend = keys(u, times, [0.72, 0.9, 0.97, 0.97, 0.97, 0.95, 0.85])
    down = np.stack([0.1 + 0 * u, -np.cos(swing) * bend, np.sin(swing) * bend], axis=-1) * body.arm
    figure.hands[1] = figure.shoulder(1) + down * [-1, 1, 1]
    side_arm = keys(u, times, [[0.0, -0.6, 0.5], [0.2, -0.7, 0.4], [0.7, -0.5, 0.2], [0.9, -0.2, 0.0],
                               [0.9, -0.1, -0.3], [0.8, -0.1, -0.4], [0.8, -0.2, -0.3]])  # fmt: skip
    figure.hands[0] = figure.shoulder(0) + side_arm * body.arm
    left = keys(u, times, [0.1, 0.1, 0.9, 1.1, 2.1, 2.3, 2.35]) * (travel[-1] / 2.0 if len(u) else 1)
    right = keys(u, times, [0.0, 0.5, 0.7, 1.6, 1.5, 1.35, 1.35]) * (travel[-1] / 2.0 if len(u) else 1)
    behind = keys(u, times, [0, 0, 0, 0, 0.05, 0.12, 0.15])
    cross = keys(u, times, [-0.1, -0.1, -0.1, -0.1, 0.12, 0.3, 0.3])
    figure.feet[0] = np.stack([0.1 + 0 * u, 0 * u, left], axis=-1)
    figure.feet[1] = np.stack([cross, behind, right], axis=-1)


def golf_swing(figure: Figure, u: Array, rng: np.random.Generator) -> None:
    """Address, back swing over the right shoulder, down swing, finish over the left shoulder."""
    body = figure.body
    times = [0.0, 0.15, 0.35, 0.52, 0.62, 0.68, 0.8, 1.0]
    turn = keys(u, times, [0, 0, -50, -85, -20, 15, 75, 90])
    hips = keys(u, times, [0, 0, -20, -40, 10, 35, 75, 85])
    lean = keys(u, times, [34, 34, 32, 26, 30, 26, 8, 0])
    figure.pelvis[:, 1] -= 0.05 * body.leg
    figure.pelvis[:, 2] -= 0.10 * keys(u, times, [1, 1, 1, 1, 1, 1, 0.3, 0])
    figure.turn(
        rotation(lean * 0.5, yaw=hips * 0.8),
        rotation(lean, yaw=turn),
        rotation(lean, yaw=keys(u, times, [0, 0, 0, -10, 0, 10, 60, 80])),
    )
    # both hands together, in the frame of the chest: straight down, up to the right, down, up to the left
    hands = keys(u, times, [[0, -0.85, 0.30], [0, -0.85, 0.30], [-0.55, -0.25, 0.55], [-0.55, 0.45, 0.35],
                            [-0.1, -0.85, 0.35], [0.2, -0.8, 0.4],
                            [0.55, 0.1, 0.5], [0.45, 0.45, 0.1]])  # fmt: skip
    local = np.einsum("tij,tj->ti", figure.chest, hands * body.arm)
    for side, sign in SIDES:
        figure.hands[side] = figure.neck() + local + sign * 0.03 * figure.chest[..., 0]
        figure.feet[side] = [sign * rng.uniform(0.2, 0.27), 0, 0]
        figure.elbows[side] = np.einsum("tij,j->ti", figure.chest, np.array([sign * 0.4, -0.8, -0.2]))


def baseball_swing(figure: Figure, u: Array, rng: np.random.Generator) -> None:
    """A wide stance, the hands at the right shoulder; a step, and the bat around to the left shoulder."""
    body = figure.body
    times = [0.0, 0.3, 0.45, 0.6, 0.7, 0.82, 1.0]
    hips = keys(u, times, [-5, -12, -15, 30, 65, 80, 80])
    turn = keys(u, times, [-15, -22, -35, 0, 50, 100, 105])
    lean = keys(u, times, [14, 14, 16, 16, 12, 0, -4])
    side = keys(u, times, [0, -4, -6, -8, -14, -14, -12])
    figure.pelvis[:, 0] = keys(u, times, [-0.05, -0.08, -0.02, 0.12, 0.16, 0.18, 0.18])
    figure.pelvis[:, 1] -= 0.13 * body.leg
    figure.turn(
        rotation(lean * 0.4, yaw=hips),
        rotation(lean, yaw=turn, roll=side),
        rotation(lean, yaw=turn * 0.4 + 20),
    )
    hands = keys(u, times, [[-0.38, -0.02, 0.30], [-0.42, 0.02, 0.26], [-0.48, 0.0, 0.2], [-0.1, -0.35, 0.6],
                            [0.1, -0.25, 0.85], [0.5, 0.05, 0.45], [0.5, 0.22, 0.1]])  # fmt: skip
    local = np.einsum("tij,tj->ti", figure.chest, hands * body.arm)
    stance = rng.uniform(0.26, 0.36)
    step = keys(u, times, [0, 0, 0.16, 0.18, 0.18, 0.18, 0.18])
    heel = keys(u, times, [0, 0, 0, 0.04, 0.1, 0.1, 0.08])
    figure.feet[0] = np.stack(
        [stance + step, 0.08 * np.sin(np.pi * np.clip((u - 0.3) / 0.2, 0, 1)), 0 * u], axis=-1
    )
    figure.feet[1] = np.stack([-stance + heel * 0.5, heel, -0.05 + 0 * u], axis=-1)
    for side_index, sign in SIDES:
        figure.hands[side_index] = figure.neck() + local + sign * 0.03 * figure.chest[..., 0]
        figure.elbows[side_index] = np.einsum("tij,j->ti", figure.chest, np.array([sign * 0.6, -0.7, -0.1]))


def baseball_pitch(figure: Figure, u: Array, rng: np.random.Generator) -> None:
    """Sideways: the left knee up, a long stride, the arm over the top, the right leg swinging up."""
    body = figure.body
    times = [0.0, 0.22, 0.38, 0.52, 0.62, 0.70, 0.80, 1.0]
    travel = keys(u, times, [0, 0, 0.05, 0.45, 0.75, 0.9, 1.0, 1.1]) * body.leg
    hips = keys(u, times, [0, -5, -20, 10, 60, 85, 95, 90])
    turn = keys(u, times, [0, -5, -20, -5, 35, 85, 110, 95])
    lean = keys(u, times, [3, 3, 5, -5, 0, 45, 70, 40])
    figure.pelvis[:, 0] = travel
    figure.pelvis[:, 1] -= keys(u, times, [0.01, 0.01, 0.05, 0.2, 0.26, 0.24, 0.2, 0.1]) * body.leg
    figure.turn(
        rotation(lean * 0.7, yaw=hips),
        rotation(lean, yaw=turn),
        rotation(lean * 0.4, yaw=80 * np.clip(u * 2, 0, 1)),
    )
    lift = keys(u, times, [0, 0, 0.55, 0.12, 0, 0, 0, 0]) * body.leg
    stride = keys(u, times, [0.1, 0.1, 0.2, 1.0, 1.25, 1.25, 1.25, 1.25]) * body.leg
    figure.feet[0] = np.stack([stride, lift, 0.25 * lift], axis=-1)
    behind = keys(u, times, [-0.1, -0.1, -0.1, -0.1, 0.0, 0.3, 0.5, 1.1]) * body.leg
    kick = keys(u, times, [0, 0, 0, 0, 0.1, 0.4, 0.7, 0.25]) * body.leg * rng.uniform(0.5, 1.1)
    figure.feet[1] = np.stack([behind, kick, -0.1 * kick], axis=-1)
    figure.knees[0] = np.stack(
        [0.3 + 0.7 * np.clip(u * 2 - 0.8, 0, 1), 0 * u, 1 - np.clip(u * 2 - 0.8, 0, 1)], axis=-1
    )
    figure.knees[1] = np.stack([np.clip(u * 2 - 0.8, 0, 1), 0 * u, 1 - np.clip(u * 2 - 0.8, 0, 1)], axis=-1)
    throwing = keys(u, times, [[-0.2, -0.3, 0.4], [-0.2, -0.2, 0.45], [-0.2, -0.25, 0.4], [0.7, -0.1, -0.1],
                               [0.55, 0.5, -0.2], [0.3, 0.3, 0.8],
                               [-0.3, -0.6, 0.6], [-0.2, -0.8, 0.3]])  # fmt: skip
    glove = keys(u, times, [[-0.2, -0.3, 0.4], [-0.2, -0.2, 0.45], [-0.2, -0.25, 0.4], [0.7, 0.1, 0.3],
                            [0.5, 0.0, 0.4], [0.1, -0.4, 0.3],
                            [0.2, -0.5, 0.0], [0.2, -0.6, 0.1]])  # fmt: skip
    figure.hands[1], figure.hands[0] = figure.from_chest(1, throwing), figure.from_chest(0, glove)
    for side, sign in SIDES:
        figure.elbows[side] = np.einsum("tij,j->ti", figure.chest, np.array([sign * 1.0, -0.3, -0.3]))


def tennis_serve(figure: Figure, u: Array, rng: np.random.Generator) -> None:
    """Sideways: the left arm tosses, the racket drops behind the back, up to the ball, and across."""
    body = figure.body
    times = [0.0, 0.2, 0.42, 0.55, 0.66, 0.73, 0.85, 1.0]
    turn = keys(u, times, [-10, -25, -45, -50, -10, 50, 85, 70])
    lean = keys(u, times, [32, 22, -4, -14, 0, 18, 42, 25])
    figure.pelvis[:, 0] = keys(u, times, [0, 0.02, 0.08, 0.15, 0.22, 0.32, 0.5, 0.6])
    rise = keys(u, times, [-0.05, -0.05, -0.06, -0.12, 0.03, 0.08, -0.06, -0.06]) * body.leg
    figure.pelvis[:, 1] += rise
    base = 60
    nod = keys(u, times, [30, 15, -30, -35, -25, 5, 20, 10])
    head = rotation(nod, yaw=base + turn * 0.4)
    figure.turn(rotation(lean * 0.4, yaw=base + turn * 0.6), rotation(lean, yaw=base + turn), head)
    toss = keys(u, times, [[-0.1, -0.8, 0.5], [-0.1, -0.7, 0.6], [0.1, 0.8, 0.4], [0.1, 0.9, 0.3],
                           [0.0, 0.2, 0.5], [-0.1, -0.4, 0.3],
                           [0.0, -0.5, 0.3], [0.1, -0.6, 0.2]])  # fmt: skip
    racket = keys(u, times, [[-0.2, -0.8, 0.5], [0.1, -0.85, 0.2], [0.6, -0.2, -0.2], [0.5, 0.3, -0.3],
                             [0.35, 0.75, -0.1], [0.1, 0.95, 0.25],
                             [-0.5, -0.5, 0.6], [-0.6, -0.6, 0.3]])  # fmt: skip
    figure.hands[0], figure.hands[1] = figure.from_chest(0, toss), figure.from_chest(1, racket)
    air = np.maximum(rise - 0.01, 0)
    forward = keys(u, times, [0.22, 0.22, 0.22, 0.22, 0.3, 0.45, 0.65, 0.7])
    figure.feet[0] = np.stack([forward, air, 0.05 + 0 * u], axis=-1)
    kick = keys(u, times, [0, 0, 0, 0, 0.02, 0.15, rng.uniform(0.2, 0.5), 0.05])
    figure.feet[1] = np.stack(
        [forward - keys(u, times, [0.45, 0.45, 0.4, 0.3, 0.3, 0.4, 0.6, 0.4]), kick + air, -0.1 + 0 * u], -1
    )
    for side, sign in SIDES:
        figure.elbows[side] = np.einsum("tij,j->ti", figure.chest, np.array([sign * 1.0, -0.3, -0.2]))
        figure.knees[side] = [0.7, 0.0, 0.7]


def tennis_forehand(figure: Figure, u: Array, rng: np.random.Generator) -> None:
    """A turn to the right, the racket back, and through in front of the body to the left shoulder."""
    body = figure.body
    times = [0.0, 0.25, 0.48, 0.62, 0.72, 0.85, 1.0]
    hips = keys(u, times, [-10, -40, -60, -20, 15, 30, 20])
    turn = keys(u, times, [-15, -60, -85, -30, 20, 50, 40])
    lean = keys(u, times, [14, 12, 10, 12, 10, 6, 8])
    run = keys(u, times, [0.3, 0.0, -0.3, -0.15, 0.0, 0.1, 0.2]) * rng.uniform(0.8, 2.5)
    figure.pelvis[:, 0] = run
    figure.pelvis[:, 2] = keys(u, times, [0, 0, 0, 0.15, 0.3, 0.35, 0.35])
    figure.pelvis[:, 1] -= keys(u, times, [0.08, 0.12, 0.2, 0.16, 0.08, 0.06, 0.08]) * body.leg
    figure.turn(rotation(lean * 0.4, yaw=hips), rotation(lean, yaw=turn), rotation(lean, yaw=turn * 0.3))
    racket = keys(u, times, [[-0.1, -0.5, 0.45], [0.4, -0.1, 0.3], [0.75, -0.15, -0.25], [0.5, -0.55, 0.3],
                             [0.1, -0.3, 0.85], [-0.7, 0.1, 0.5], [-0.6, 0.05, 0.35]])  # fmt: skip
    other = keys(u, times, [[-0.1, -0.5, 0.45], [-0.3, -0.2, 0.6], [0.0, -0.05, 0.9], [0.5, -0.3, 0.5],
                            [0.2, -0.4, 0.3], [0.1, -0.3, 0.3], [0.1, -0.4, 0.35]])  # fmt: skip
    figure.hands[1], figure.hands[0] = figure.from_chest(1, racket), figure.from_chest(0, other)
    stance = rng.uniform(0.22, 0.36)
    step = keys(u, times, [0, 0, 0.15, 0.35, 0.35, 0.35, 0.3])
    pull = keys(u, times, [0, 0, 0, 0, 0.1, 0.5, 0.7])
    steps = 0.12 * np.abs(np.sin(2 * np.pi * u * 2)) * (u < 0.5)
    figure.feet[0] = np.stack([stance + run - step * 0.3, steps, 1.2 * step], axis=-1)
    figure.feet[1] = np.stack([-stance + run + 0.1 * pull, 0.25 * pull, -0.15 + pull * 0.4], axis=-1)
    for side, sign in SIDES:
        figure.elbows[side] = np.einsum("tij,j->ti", figure.chest, np.array([sign * 0.7, -0.8, -0.2]))
