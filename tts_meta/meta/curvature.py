"""Log determinants of the train loss's curvature H + P, P = diag(1 / sigma^2): exact, Gauss-Newton, diagonal; and the
Gauss-Newton matrix as the Hessian of a loss.

The determinants are differentiable, for ML-LAPLACE (Grant et al. 2018). Names and shapes: theta `{name: [T, ...]}`,
results `[T]`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tts_meta.meta.loss import NetLoss, TaskLoss, grad_or_zero
from tts_meta.meta.prior import Shrinkage
from tts_meta.meta.task import Batch
from tts_meta.meta.tree import Tree, flatten

MOST = 4000
"""Parameters for which the exact Hessian is still built (a matrix of 128 MB a task)."""


def _precision(prior: Shrinkage, theta: Tree) -> Tensor:
    """Diagonal of P, `[D]`; every sigma must be finite and positive."""
    if not bool(torch.isfinite(prior.log_sigma2).all()):
        raise ValueError("The Laplace term needs a finite sigma for every module; it got 0 or inf: give a fixed sigma.")
    return torch.cat([prior.precision(k).expand(v[0].numel()) for k, v in theta.items()])


def _rows(values: Tensor, theta: Tree) -> Tensor:
    """Jacobian `[T, n, D]` of `values` `[T, n]`, differentiable."""
    leaves = list(theta.values())
    rows = []
    for i in range(values.shape[1]):
        found = grad_or_zero(values[:, i].sum(), leaves, create_graph=True)
        rows.append(flatten(dict(zip(theta, found, strict=True))))
    return torch.stack(rows, 1)


def exact(loss: NetLoss, prior: Shrinkage, theta: Tree, batch: Batch, fixed: Tree) -> Tensor:
    """log det(H + P) with eigenvalues no smaller than those of P alone (a non-convex H may have negative ones)."""
    p = _precision(prior, theta)
    if len(p) > MOST:
        raise ValueError(f"The exact Hessian of {len(p)} parameters does not fit; use gauss_newton or diagonal.")
    total = loss({**fixed, **theta}, batch).sum()
    grads = torch.autograd.grad(total, list(theta.values()), create_graph=True)
    h = _rows(flatten(dict(zip(theta, grads, strict=True))), theta)
    root = p.rsqrt()
    white = root[:, None] * h * root  # Sigma^1/2 H Sigma^1/2, so that the prior alone has eigenvalues 1
    # In double precision: the many zero eigenvalues of a rank-deficient H stall the solver in single.
    values = torch.linalg.eigvalsh(0.5 * (white + white.transpose(1, 2)).double())
    return (torch.log1p(values.clamp(min=0)).sum(1) + p.double().log().sum()).to(p)


def _gauss_newton_parts(loss: NetLoss, theta: Tree, batch: Batch, fixed: Tree) -> tuple[Tensor, Tensor]:
    """Jacobian of the outputs J `[T, n, D]` and the criterion's Hessian in them, `[T, n, n]`."""
    out = loss.outputs({**fixed, **theta}, batch)
    j = _rows(out.flatten(1), theta)
    total = loss.of_outputs(out, batch).sum()
    (g,) = torch.autograd.grad(total, out, create_graph=True)
    rows = [torch.autograd.grad(x.sum(), out, create_graph=True)[0].flatten(1) for x in g.flatten(1).unbind(1)]
    return j, torch.stack(rows, 1)


def gauss_newton(loss: NetLoss, prior: Shrinkage, theta: Tree, batch: Batch, fixed: Tree) -> Tensor:
    """log det(J' L J + P) through the n x n matrix I + L J Sigma J' (matrix determinant lemma)."""
    p = _precision(prior, theta)
    j, outer = _gauss_newton_parts(loss, theta, batch, fixed)
    small = outer @ (j / p) @ j.transpose(1, 2)
    eye = torch.eye(small.shape[1], dtype=small.dtype, device=small.device)
    return torch.linalg.slogdet(eye + small).logabsdet + p.log().sum()


def diagonal(loss: NetLoss, prior: Shrinkage, theta: Tree, batch: Batch, fixed: Tree) -> Tensor:
    """log det of the diagonal of J' L J + P."""
    p = _precision(prior, theta)
    j, outer = _gauss_newton_parts(loss, theta, batch, fixed)
    return ((outer @ j * j).sum(1).clamp(min=0) + p).log().sum(1)


class GaussNewton:
    """TaskLoss that is zero, and so is its gradient, and whose Hessian is J' L J: J the derivatives of the network's outputs,
    L the criterion's Hessian in them (Schraudolph 2002).

    Where the criterion is convex, no direction of it has negative curvature, wherever the inner loop ended. For cross-entropy and
    squared errors it is the Fisher information (Martens 2020). Raises TypeError for a loss that does not show its outputs.
    """

    def __init__(self, loss: TaskLoss) -> None:
        if not isinstance(loss, NetLoss):
            raise TypeError(
                f"The Gauss-Newton matrix needs a loss with outputs and of_outputs; {type(loss).__name__} has none."
            )
        self.loss = loss

    def __call__(self, params: Tree, batch: Batch) -> Tensor:
        out = self.loss.outputs(params, batch)
        moved, at = out - out.detach(), out.detach().requires_grad_()
        (g,) = torch.autograd.grad(self.loss.of_outputs(at, batch).sum(), at, create_graph=True)
        (bent,) = torch.autograd.grad((g * moved).sum(), at, create_graph=True)
        return 0.5 * (moved * bent).flatten(1).sum(1)


CURVATURES = {"exact": exact, "gauss_newton": gauss_newton, "diagonal": diagonal}
