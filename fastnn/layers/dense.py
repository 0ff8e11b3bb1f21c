"""Dense: the fully connected layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastnn import activations, initializers
from fastnn.keras_tensor import Shape
from fastnn.layers.arguments import positive_integer
from fastnn.layers.base import Layer
from fastnn.lowering import operations
from fastnn.variables import Variable

if TYPE_CHECKING:
    from fastnn.lowering.builder import Builder, Tensor


class Dense(Layer):
    """Fully connected layer: ``activation(x @ kernel + bias)`` over the last axis.

    Parameters
    ----------
    units : int
        Size of the output's last axis.
    activation : str or callable, optional
        See `fastnn.activations`; None: the identity.
    use_bias : bool
        Whether ``bias`` is added.
    kernel_initializer, bias_initializer : str, Initializer, callable or array
        First values; see `fastnn.initializers`.
    **kwargs
        Those of `Layer`: ``name``, ``dtype``, ``trainable``, ``input_shape``, ``input_dim``. Of those in `NOT_YET` only None. With
        ``dtype="mixed_bfloat16"`` the products, forward and backward, are of numbers rounded to bfloat16, with float32 sums; the
        weights, the bias's sum and the output are float32.

    Attributes
    ----------
    kernel : Variable
        (inputs, units).
    bias : Variable or None
        (units,).

    Raises
    ------
    ValueError
        If ``units`` is not a positive integer, a name is unknown or an argument is not supported yet; when called, if the
        input has fewer than 2 axes or, once built, another size of the last axis.

    Examples
    --------
    >>> layer = Dense(2, activation="relu")
    >>> layer.build((None, 3))
    >>> layer.kernel.shape, layer.bias.shape, layer.count_params()
    ((3, 2), (2,), 8)
    """

    NOT_YET = (
        *Layer.NOT_YET,
        *("kernel_regularizer", "bias_regularizer", "kernel_constraint", "bias_constraint"),
        *("lora_rank", "lora_alpha", "quantization_config"),
    )
    min_ndim = 2

    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        **kwargs: Any,
    ) -> None:
        self.units = positive_integer("units", units)
        super().__init__(**kwargs)
        self.activation = activations.get(activation)
        activations.warn_of_one_class(self.activation, self.units)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self._kernel: Variable | None = None
        self.bias: Variable | None = None

    def build(self, input_shape: Shape) -> None:
        """Make ``kernel`` (inputs, units) and ``bias`` (units,)."""
        if self._kernel is not None:
            return
        inputs = positive_integer("input_shape[-1]", input_shape[-1])
        self._kernel = self.add_weight((inputs, self.units), self.kernel_initializer, name="kernel")
        if self.use_bias:
            self.bias = self.add_weight((self.units,), self.bias_initializer, name="bias")
        self.built = True

    @property
    def kernel(self) -> Variable:
        """The weights (inputs, units)."""
        if self._kernel is None:
            raise AttributeError(
                f"You must build layer {self.name!r} before accessing `kernel`: build((None, features)), or call it on data"
            )
        return self._kernel

    def check_input_shape(self, shape: Shape) -> None:
        """The last axis must be the one the layer was built for."""
        super().check_input_shape(shape)
        if self._kernel is not None and shape[-1] != self._kernel.shape[0]:
            raise ValueError(
                f"Input 0 of layer {self.name!r} is incompatible with the layer: expected axis -1 of input shape to have value "
                f"{self._kernel.shape[0]}, but received input with shape {shape}"
            )

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The input's shape with ``units`` for the last axis."""
        return (*input_shape[:-1], self.units)

    def lower(self, b: Builder, *inputs: Tensor) -> Tensor:
        """One product, then the activation."""
        rounds = self.compute_dtype == "bfloat16"
        return activations.lower(b, self.activation, operations.dense(b, inputs[0], self.kernel, self.bias, rounds=rounds))

    def get_config(self) -> dict[str, Any]:
        """The arguments that make a layer like this one."""
        return {
            **super().get_config(),
            "units": self.units,
            "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
        }
