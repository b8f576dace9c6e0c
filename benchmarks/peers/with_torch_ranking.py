"""LightGCN and SASRec written plainly in PyTorch, on interactions that engram divided; see `ranking`.

    python with_torch_ranking.py split.npz

Widths, depths and losses are those of RecBole's configurations, SASRec with cross entropy over all items. Batches are
larger and rates with them, for the sake of time.

Shapes: B examples, U users, I items, N both, D width, T places of a history, P places of some.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator

import numpy as np
import torch
from ranking import NUM_TOP, Fit, Known, Top, report
from torch import Tensor, nn
from torch.nn import functional

WIDTH = 64


def top_of(score_UI: Tensor, users: np.ndarray, known: Known) -> np.ndarray:
    """The items with the highest scores, those that were taken left out."""
    begins = known.begins
    for row, user in enumerate(users):
        score_UI[row, known.item[begins[user] : begins[user + 1]]] = -torch.inf
    return score_UI.topk(NUM_TOP, dim=1).indices.numpy()


def light_gcn(layers: int, decay: float, *, rate: float = 5e-3, batch: int = 8192, epochs: int = 20) -> Fit:
    """He et al. 2020, arXiv:2002.02126: vectors averaged over neighbours in the graph of users and items, BPR loss.

    A stage is so many epochs.
    """

    def fitted(known: Known) -> Iterator[Top]:
        torch.manual_seed(0)
        user, item = torch.from_numpy(known.user).long(), torch.from_numpy(known.item).long()
        graph_NN = _graph(user, item + known.num_users, known.num_users + known.num_items)
        table = nn.Embedding(known.num_users + known.num_items, WIDTH)
        nn.init.xavier_uniform_(table.weight)
        optimizer = torch.optim.Adam(table.parameters(), lr=rate)

        def vectors() -> tuple[Tensor, Tensor]:
            found = [table.weight]
            for _ in range(layers):
                found.append(graph_NN @ found[-1])
            vector_ND = torch.stack(found).mean(0)
            return vector_ND[: known.num_users], vector_ND[known.num_users :]

        def top(users: np.ndarray) -> np.ndarray:
            with torch.inference_mode():
                user_UD, item_ID = vectors()
                return top_of(user_UD[torch.from_numpy(users)] @ item_ID.T, users, known)

        while True:
            for _ in range(epochs):
                for some_B in torch.randperm(len(user)).split(batch):
                    other_B = torch.randint(known.num_items, (len(some_B),))
                    user_UD, item_ID = vectors()
                    own_BD, liked_BD, other_BD = user_UD[user[some_B]], item_ID[item[some_B]], item_ID[other_B]
                    loss = functional.softplus((own_BD * (other_BD - liked_BD)).sum(1)).mean()
                    rows = torch.cat([user[some_B], known.num_users + item[some_B], known.num_users + other_B])
                    loss = loss + decay * table(rows).square().sum() / len(some_B) / 2
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
            yield top

    return fitted


def _graph(user: Tensor, item: Tensor, number: int) -> Tensor:
    """The graph (N, N) of who took what, each edge divided by the roots of how many its two ends have."""
    places = torch.cat([torch.stack([user, item]), torch.stack([item, user])], 1)
    degree_N = torch.bincount(places[0], minlength=number).float().clamp(min=1)
    values = (degree_N[places[0]] * degree_N[places[1]]).rsqrt()
    return torch.sparse_coo_tensor(places, values, (number, number)).coalesce().to_sparse_csr()


class SasRec(nn.Module):
    """Kang and McAuley 2018, arXiv:1808.09781: a causal transformer over a user's last items (numbers from 1 on)."""

    def __init__(self, num_items: int, *, longest: int, dropout: float) -> None:
        super().__init__()
        self.item, self.place = nn.Embedding(num_items + 1, WIDTH, padding_idx=0), nn.Embedding(longest, WIDTH)
        layer = nn.TransformerEncoderLayer(WIDTH, 2, 4 * WIDTH, dropout, activation="gelu", batch_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.norm, self.dropout = nn.LayerNorm(WIDTH), nn.Dropout(dropout)
        for table in (self.item, self.place):
            nn.init.normal_(table.weight, std=0.02)

    def forward(self, item_BT: Tensor) -> Tensor:
        """(B, T) -> what each place knows of the next (B, T, D)."""
        x_BTD = self.dropout(self.norm(self.item(item_BT) + self.place.weight[: item_BT.shape[1]]))
        mask_TT = nn.Transformer.generate_square_subsequent_mask(item_BT.shape[1])
        found_BTD: Tensor = self.layers(x_BTD, mask=mask_TT, is_causal=True)
        return found_BTD


def sas_rec(longest: int, dropout: float, *, rate: float = 1e-3, batch: int = 128, epochs: int = 10) -> Fit:
    """SASRec; histories are cut into windows, whose every place learns the next item. A stage is so many epochs."""

    def fitted(known: Known) -> Iterator[Top]:
        torch.manual_seed(0)
        begins = known.begins
        own = [torch.from_numpy(known.item[a:b]).long() + 1 for a, b in itertools.pairwise(begins)]
        model = SasRec(known.num_items, longest=longest, dropout=dropout)
        optimizer = torch.optim.Adam(model.parameters(), lr=rate)

        def top(users: np.ndarray) -> np.ndarray:
            model.eval()
            last = [own[user][-longest:] for user in users]
            size_U = torch.tensor([len(items) for items in last])
            with torch.inference_mode():
                state_UTD = model(nn.utils.rnn.pad_sequence(last, batch_first=True))
                state_UD = state_UTD[torch.arange(len(users)), (size_U - 1).clamp(min=0)]
                return top_of(state_UD @ model.item.weight[1:].T, users, known)

        while True:
            for _ in range(epochs):
                model.train()
                # cut anew each time, so that every item comes at every place
                pieces = [piece for items in own for piece in _cut(items, longest) if len(piece) > 1]
                for some in torch.randperm(len(pieces)).split(batch):
                    item_BT = nn.utils.rnn.pad_sequence([pieces[n] for n in some], batch_first=True)
                    state_PD, next_P = model(item_BT[:, :-1])[item_BT[:, 1:] > 0], item_BT[:, 1:][item_BT[:, 1:] > 0]
                    loss = functional.cross_entropy(state_PD @ model.item.weight[1:].T, next_P - 1)
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
            yield top

    return fitted


def _cut(items: Tensor, longest: int) -> list[Tensor]:
    """Windows that cover a history, of one item more than is read, the first of them of random size."""
    first = int(torch.randint(1, longest + 1, ()))
    ends = range(first, len(items) + longest, longest)
    return [items[max(0, end - longest - 1) : end] for end in ends]


MODELS: dict[str, dict[str, Fit]] = {
    "LightGCN": {
        f"{layers} layers, regularisation {decay}": light_gcn(layers, decay)
        for layers in (2, 3)
        for decay in (1e-4, 1e-2)
    },
    "SASRec": {
        f"{longest} items, dropout {dropout}": sas_rec(longest, dropout)
        for longest in (50, 200)
        for dropout in (0.2, 0.5)
    },
}


if __name__ == "__main__":
    report(sys.argv[1], MODELS)
