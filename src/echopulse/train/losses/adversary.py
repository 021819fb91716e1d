"""Two critics that learn to tell made pictures from true ones, and what the tokenizer hears from them.

One looks at single pictures, the other at the change from each to the next, so that texture has to move as tissue does.
The adversary learns inside the task, by an optimiser of its own, and all of it goes into the run's checkpoint.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from echopulse.train.losses.critic import PatchCritic
from echopulse.train.losses.running import RunningMean
from echopulse.train.state import load_optimizer, optimizer_tensors

LEARNING_RATE, BETAS = 2e-4, (0.5, 0.9)
DECAY = 0.99  # of LeCam's running means
CHANGE_SCALE = 4.0  # a change of one frame is small beside a picture


def hinge_loss(real: Tensor, fake: Tensor) -> Tensor:
    """What critics minimise: mean shortfall of true patches from 1 and of made ones from -1 (Lim and Ye 2017)."""
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def lecam_penalty(real: Tensor, fake: Tensor, mean_real: float, mean_fake: float) -> Tensor:
    """Squared distance of each kind of patch from the other's running mean (Tseng et al. 2021).

    It holds critics back from being sure, which few clips would let them be.
    """
    return (real - mean_fake).square().mean() + (fake - mean_real).square().mean()


class Adversary:
    """Critics, their optimiser and LeCam's running means, for pictures float [b, t, h, w] in 0..1 with t above 1.

    `lecam` is the weight of the penalty in the critics' own loss. Fresh weights come from torch's own generator.
    """

    def __init__(self, lecam: float, device: torch.device | str = "cpu"):
        self.lecam = lecam
        self.critics = nn.ModuleDict({name: PatchCritic() for name in ("pictures", "changes")}).to(device)
        self.optimizer = torch.optim.Adam(self.critics.parameters(), lr=LEARNING_RATE, betas=BETAS)
        self.critics.requires_grad_(False)
        kinds = [f"{name}.{kind}" for name in self.critics for kind in ("real", "fake")]
        self.means = {kind: RunningMean(DECAY) for kind in kinds}

    def learn(self, made: Tensor, true: Tensor) -> dict[str, float]:
        """One step of the critics, which leaves no gradient in `made`; what they still miss, and the penalty."""
        made, true = made.detach(), true.detach()
        self.critics.requires_grad_(True)
        missed, held = true.new_zeros(()), true.new_zeros(())
        for name, critic in self.critics.items():
            looks = torch.cat([_look(name, true), _look(name, made)])
            real, fake = critic(looks).float().chunk(2)
            means = [
                self.means[f"{name}.{kind}"].update(float(said.detach().mean()))
                for kind, said in (("real", real), ("fake", fake))
            ]
            missed = missed + hinge_loss(real, fake) / len(self.critics)
            held = held + lecam_penalty(real, fake, *means) / len(self.critics)
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(true.device.type, enabled=False):
            (missed + self.lecam * held).backward()
        self.optimizer.step()
        # What needs a gradient is cast once per step under autocast and kept, which would be the weights of before.
        self.critics.requires_grad_(False)
        return {"adversary": float(missed.detach()), "lecam": float(held.detach())}

    def doubt(self, made: Tensor) -> Tensor:
        """How far from real the critics find what was made, a scalar with a gradient into `made` alone."""
        found = [-critic(_look(name, made)).float().mean() for name, critic in self.critics.items()]
        return torch.stack(found).mean()

    def state(self) -> dict[str, Tensor]:
        """All that is needed to go on, by flat names."""
        tensors = {f"critics.{name}": value for name, value in self.critics.state_dict().items()}
        tensors |= {f"optimizer.{name}": value for name, value in optimizer_tensors(self.optimizer).items()}
        return tensors | {f"means.{name}": mean.state() for name, mean in self.means.items()}

    def load(self, state: dict[str, Tensor]) -> None:
        """Goes on from what `state` gave."""
        parts: dict[str, dict[str, Tensor]] = {"critics": {}, "optimizer": {}, "means": {}}
        for name, value in state.items():
            part, _, rest = name.partition(".")
            parts[part][rest] = value
        self.critics.load_state_dict(parts["critics"])
        load_optimizer(self.optimizer, parts["optimizer"])
        for name, value in parts["means"].items():
            self.means[name].load(value)


def _look(name: str, pictures: Tensor) -> Tensor:
    """What the critic of that name is shown of pictures [b, t, h, w]: [n, 1, h, w]."""
    shown = 2 * pictures - 1 if name == "pictures" else CHANGE_SCALE * pictures.diff(dim=1)
    return shown.flatten(0, 1)[:, None]
