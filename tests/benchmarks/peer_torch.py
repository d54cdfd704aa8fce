"""PyTorch, eager and compiled: fused Adam, gradients set to None, images channels-last."""

import layer_specs as specs
import numpy as np
import torch
from peer_base import Peer
from torch import nn
from torch.nn import functional


def _turned(array):
    return np.ascontiguousarray(array.T)


def _set(parameter, array):
    """Give a parameter its first value."""
    parameter.data = torch.from_numpy(np.array(array))
    parameter.first = parameter.data.clone()


def _linear(weight, bias):
    layer = nn.Linear(*weight.shape)
    _set(layer.weight, _turned(weight))
    _set(layer.bias, bias)
    return layer


def _with_activation(layer, activation):
    return nn.Sequential(layer, nn.ReLU()) if activation == "relu" else layer


def _dense(spec, arrays):
    return _with_activation(_linear(arrays["weight"], arrays["bias"]), spec.activation)


class AroundLast(nn.Module):
    """A linear layer on x minus its last value, which is added again."""

    def __init__(self, spec, arrays):
        super().__init__()
        self.linear = _linear(arrays["dense.weight"], arrays["dense.bias"])

    def forward(self, x):
        last = x[:, -1:]
        return self.linear(x - last) + last


def _conv(spec, arrays):
    # Padding as for "same": with a stride of 2 and an even side, one row more behind than before.
    before = (spec.size - spec.stride) // 2 if spec.size > spec.stride else 0
    behind = max(spec.size - spec.stride, 0) - before
    even = before == behind
    layer = nn.Conv2d(
        spec.inputs, spec.filters, spec.size, spec.stride, padding=before if even else 0, bias=spec.bias
    ).to(memory_format=torch.channels_last)
    _set(layer.weight, arrays["weight"].transpose(3, 2, 0, 1))
    layer.weight.data = layer.weight.data.contiguous(memory_format=torch.channels_last)
    if spec.bias:
        _set(layer.bias, arrays["bias"])
    layer = _with_activation(layer, spec.activation)
    return layer if even else nn.Sequential(nn.ZeroPad2d((before, behind, before, behind)), layer)


def _batch_norm(spec, arrays):
    layer = nn.BatchNorm2d(spec.width)
    _set(layer.weight, arrays["scale"])
    _set(layer.bias, arrays["shift"])
    return _with_activation(layer, spec.activation)


class Mean(nn.Module):
    """The mean over some axes."""

    def __init__(self, axes):
        super().__init__()
        self.axes = axes

    def forward(self, x):
        return x.mean(self.axes)


class Flatten(nn.Module):
    """All of a sample in one axis, channels last: a view, as the images lie so."""

    def forward(self, x):
        return (x.permute(0, 2, 3, 1) if x.ndim == 4 else x).flatten(1)


def _within(arrays, prefix):
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def _chain(listed, arrays, prefix):
    return nn.Sequential(
        *(LAYERS[type(spec)](spec, _within(arrays, f"{prefix}{place}.")) for place, spec in enumerate(listed))
    )


class Shortcut(nn.Module):
    """relu(inner(x) + shortcut(x))."""

    def __init__(self, spec, arrays):
        super().__init__()
        self.inner = _chain(spec.inner, arrays, "inner.")
        self.shortcut = _chain(spec.shortcut, arrays, "shortcut.")

    def forward(self, x):
        return torch.relu(self.inner(x) + self.shortcut(x))


def _table(layer, arrays):
    _set(layer.weight, arrays["table"])
    return layer


class Transformer(nn.Module):
    """A block with one product for queries, keys and values, and PyTorch's fused attention."""

    def __init__(self, spec, arrays):
        super().__init__()
        self.heads, self.rate = spec.heads, spec.dropout
        norms = []
        for name in ("attention_norm", "feed_forward_norm"):
            norm = nn.LayerNorm(spec.width)
            _set(norm.weight, arrays[f"{name}.scale"])
            _set(norm.bias, arrays[f"{name}.shift"])
            norms.append(norm)
        self.attention_norm, self.feed_forward_norm = norms
        self.projection = _linear(arrays["attention.weight"], arrays["attention.bias"])
        self.mixed = _linear(arrays["attention.output_weight"], arrays["attention.output_bias"])
        self.first = _linear(arrays["feed_forward.weight"], arrays["feed_forward.bias"])
        self.second = _linear(arrays["feed_forward.output_weight"], arrays["feed_forward.output_bias"])

    def _drop(self, x):
        return functional.dropout(x, self.rate, self.training) if self.rate else x

    def forward(self, x):
        batch, length, width = x.shape
        projected = self.projection(self.attention_norm(x)).view(batch, length, 3, self.heads, width // self.heads)
        query, key, value = projected.permute(2, 0, 3, 1, 4)
        rate = self.rate if self.training else 0.0
        attended = functional.scaled_dot_product_attention(query, key, value, dropout_p=rate)
        x = x + self._drop(self.mixed(attended.transpose(1, 2).reshape(batch, length, width)))
        inner = self._drop(torch.relu(self.first(self.feed_forward_norm(x))))
        return x + self._drop(self.second(inner))


class LastState(nn.Module):
    """PyTorch's LSTM; the last state of its last layer."""

    def __init__(self, spec, arrays):
        super().__init__()
        self.lstm = nn.LSTM(spec.inputs, spec.units, spec.layers, batch_first=True)
        for level in range(spec.layers):
            _set(getattr(self.lstm, f"weight_ih_l{level}"), _turned(arrays[f"weight_{level}"]))
            _set(getattr(self.lstm, f"weight_hh_l{level}"), _turned(arrays[f"recurrent_weight_{level}"]))
            _set(getattr(self.lstm, f"bias_ih_l{level}"), arrays[f"bias_{level}"])
            # The second bias is added to the first: it stays 0 and is not trained.
            second = getattr(self.lstm, f"bias_hh_l{level}")
            _set(second, np.zeros_like(arrays[f"bias_{level}"]))
            second.requires_grad_(False)

    def forward(self, x):
        return self.lstm(x)[0][:, -1]


LAYERS = {
    specs.Dense: _dense,
    specs.AroundLast: AroundLast,
    specs.Conv: _conv,
    specs.BatchNorm: _batch_norm,
    specs.MaxPool: lambda s, arrays: nn.MaxPool2d(s.size),
    specs.GlobalAvgPool: lambda s, arrays: Mean((2, 3)),
    specs.Flatten: lambda s, arrays: Flatten(),
    specs.Residual: Shortcut,
    specs.Embedding: lambda s, arrays: _table(nn.Embedding(s.count, s.width), arrays),
    specs.EmbeddingBag: lambda s, arrays: _table(nn.EmbeddingBag(s.count, s.width, mode="mean", sparse=True), arrays),
    specs.MeanPool: lambda s, arrays: Mean(1),
    specs.Transformer: Transformer,
    specs.LSTM: LastState,
}
"""The module for each kind of description and its arrays."""

LOSSES = {"mse": functional.mse_loss, "cross_entropy": functional.cross_entropy}


class Torch(Peer):
    """PyTorch, eager."""

    compiled = False

    def __init__(self, threads):
        torch.set_num_threads(threads)
        self.version = torch.__version__

    def load(self, case, initial, batches, learning_rate):
        """Build the model of a case."""
        model = nn.Sequential(
            *(LAYERS[type(spec)](spec, arrays) for spec, arrays in zip(case.layers, initial, strict=True))
        )
        trained = [p for p in model.parameters() if p.requires_grad]
        if case.optimizer == "Adam":
            self.optimizer = torch.optim.Adam(trained, lr=learning_rate, fused=True)
        else:
            self.optimizer = torch.optim.Adagrad(trained, lr=learning_rate)
        self.batches = [(self.arrays(x), torch.from_numpy(y)) for x, y in batches]
        loss = LOSSES[case.loss]

        def loss_of(x, y):
            return loss(model(x), y)

        self.model = model
        self.compiled_model = torch.compile(model) if self.compiled else model
        self.loss_of = torch.compile(loss_of) if self.compiled else loss_of
        self.reset()

    def arrays(self, array):
        """A tensor on the same memory; images as PyTorch's axes with the channels last in memory."""
        tensor = torch.from_numpy(array)
        return tensor.permute(0, 3, 1, 2) if tensor.ndim == 4 else tensor

    def numbers(self, result):
        """The tensor's memory as an array."""
        return result.detach().numpy()

    def reset(self):
        """Back to the initial weights, the optimizer's memory empty; in place: compiled code stays valid."""
        with torch.no_grad():
            for parameter in self.model.parameters():
                parameter.copy_(parameter.first)
                for memory in self.optimizer.state.get(parameter, {}).values():
                    memory.zero_()
            for module in self.model.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.reset_running_stats()

    def training(self, steps):
        """That many training steps, the model set to train."""
        self.model.train()
        super().training(steps)

    def losses(self, steps):
        """The first losses, the model set to train."""
        self.model.train()
        return super().losses(steps)

    def step(self, x, y):
        """One training step; the loss."""
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss_of(x, y)
        loss.backward()
        self.optimizer.step()
        return loss

    def forward(self, x):
        """The output for a batch."""
        return self.compiled_model(x)

    def predicting(self):
        """PyTorch's own context for predictions, the model set to predict."""
        self.model.eval()
        return torch.inference_mode()


class TorchCompile(Torch):
    """PyTorch with the model and the loss compiled by torch.compile, which needs a C++ compiler."""

    compiled = True
