"""Do the classes of a data set and of a model agree?"""

import re
from collections.abc import Sequence
from dataclasses import replace

from maskclr_edge.data import AnnotationSet
from maskclr_edge.errors import DataError


def match_classes(data: AnnotationSet, class_names: Sequence[str]) -> AnnotationSet:
    """The annotations with labels counted in a model's ``class_names``.

    Where both have real names, names decide and order does not matter. Where one side has only numbers
    (files in the original pyskl form name no classes), the labels are taken as they are and must fit.
    Raises DataError naming both sides.
    """
    names = tuple(class_names)
    if data.class_names == names:
        return data
    if _only_numbers(data.class_names):
        if len(data.class_names) > len(names):
            raise DataError(
                f"{data.source}: has labels up to {len(data.class_names) - 1}, the model knows {len(names)} "
                f"classes ({_some(names)}); use data of the classes it was trained on"
            )
        return replace(data, class_names=names)
    if _only_numbers(names):
        if len(data.class_names) != len(names):
            raise DataError(
                f"{data.source}: has {len(data.class_names)} classes ({_some(data.class_names)}), the model "
                f"knows {len(names)} without names; use data of the classes it was trained on"
            )
        return data
    if not set(data.class_names) & set(names):
        raise DataError(
            f"{data.source}: has {len(data.class_names)} classes ({_some(data.class_names)}), the model "
            f"knows {len(names)} others ({_some(names)}); use data of the classes it was trained on"
        )
    return data.for_classes(names)


def _only_numbers(names: Sequence[str]) -> bool:
    return all(re.fullmatch(r"(class[ _]?)?\d+", name) for name in names)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
