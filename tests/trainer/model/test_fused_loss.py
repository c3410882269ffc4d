"""The fused cross-entropy is torch's: same loss, same gradients, and never all logits at once."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - everybody's name for it
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from fintts_trainer.model.fused_loss import cross_entropy_sum, rows_of_chunk

ROWS, DIM, CLASSES, RANK = 23, 4, 61, 3


def parts(dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(4)
    shapes = {
        "rows": (ROWS, DIM),
        "low": (ROWS, RANK),
        "up": (CLASSES, RANK),
        "weight": (CLASSES, DIM),
    }
    return {
        name: torch.randn(shape, generator=generator, dtype=torch.float32).to(dtype)
        for name, shape in shapes.items()
    }


def labels() -> Tensor:
    return torch.randint(0, CLASSES, (ROWS,), generator=torch.Generator().manual_seed(9))


def plain(rows: Tensor, weight: Tensor, right: Tensor, low: Tensor, up: Tensor) -> Tensor:
    logits = rows @ weight.t() + low @ up.t()
    return F.cross_entropy(logits.float(), right, reduction="sum")


def in_chunks(
    rows: Tensor, weight: Tensor, right: Tensor, low: Tensor | None = None, up: Tensor | None = None
) -> Tensor:
    """Several chunks, the last one shorter than the others."""
    return cross_entropy_sum(rows, weight, right, low, up, rows_at_once=5)


@pytest.mark.parametrize("is_adapted", [True, False])
def test_loss_and_gradients_are_those_of_torch(is_adapted: bool) -> None:
    mine, theirs = parts(), parts()
    moving = ["rows", "low", "up"] if is_adapted else ["rows"]
    for part in (mine, theirs):
        for name in moving:
            part[name].requires_grad_()
    if not is_adapted:
        theirs["low"].zero_()
    adapter = (mine["low"], mine["up"]) if is_adapted else (None, None)
    found = in_chunks(mine["rows"], mine["weight"], labels(), *adapter)
    wanted = plain(theirs["rows"], theirs["weight"], labels(), theirs["low"], theirs["up"])
    torch.autograd.backward(found / 7)
    torch.autograd.backward(wanted / 7)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-6)
    for name in moving:
        torch.testing.assert_close(mine[name].grad, theirs[name].grad, atol=1e-6, rtol=1e-5)


def test_a_label_that_is_all_but_impossible_has_a_finite_loss() -> None:
    rows = torch.tensor([[1.0, 0.0]], requires_grad=True)
    weight = torch.tensor([[0.0, 0.0], [300.0, 0.0]])
    loss = in_chunks(rows, weight, torch.tensor([0]))
    torch.autograd.backward(loss)
    assert loss.item() == 300.0
    torch.testing.assert_close(rows.grad, torch.tensor([[300.0, 0.0]]))


def test_it_works_in_bfloat16_with_a_float32_adapter() -> None:
    part = parts(torch.bfloat16)
    low, up = part["low"].float().requires_grad_(), part["up"].float().requires_grad_()
    rows = part["rows"].requires_grad_()
    found = in_chunks(rows, part["weight"], labels(), low, up)
    torch.autograd.backward(found)
    exact = {name: one.detach().float() for name, one in part.items()}
    wanted = plain(exact["rows"], exact["weight"], labels(), exact["low"], exact["up"])
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(wanted.item(), rel=5e-3)
    assert rows.grad is not None
    assert rows.grad.dtype == torch.bfloat16
    assert low.grad is not None
    assert up.grad is not None
    assert low.grad.dtype == up.grad.dtype == torch.float32


def test_a_head_that_is_trained_is_refused() -> None:
    part = parts()
    with pytest.raises(ValueError, match="no gradient for the head's own weight"):
        in_chunks(part["rows"], part["weight"].requires_grad_(), labels())


def test_a_gpu_computes_more_rows_at_once() -> None:
    assert rows_of_chunk("cuda", 155_776) == 1024
    assert rows_of_chunk("cpu", 155_776) == 256
    assert rows_of_chunk("cuda", 4096) == 2**14


class LargestResult(TorchDispatchMode):  # type: ignore[no-untyped-call] # torch: untyped
    """Notes the number of rows of the largest result with a column a class."""

    rows = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor) and result.dim() == 2 and result.shape[1] == CLASSES:
            self.rows = max(self.rows, result.shape[0])
        return result


def test_the_logits_of_all_rows_never_exist() -> None:
    part = parts()
    arguments = (part["rows"].requires_grad_(), part["weight"], labels())
    fused, whole = LargestResult(), LargestResult()  # type: ignore[no-untyped-call]
    with fused:
        torch.autograd.backward(in_chunks(*arguments, part["low"], part["up"]))
    with whole:
        torch.autograd.backward(plain(*arguments, part["low"], part["up"]))
    assert fused.rows == 5
    assert whole.rows == ROWS


def test_without_gradients_it_is_the_same_loss() -> None:
    part = parts()
    wanted = plain(part["rows"], part["weight"], labels(), part["low"], part["up"])
    part["rows"].requires_grad_()
    with torch.no_grad():
        found = in_chunks(part["rows"], part["weight"], labels(), part["low"], part["up"])
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-6)
