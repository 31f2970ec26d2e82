"""A few training steps in JAX whose results must be equal to the last bit."""

import os

# Kernels are otherwise chosen by how fast they were in this run.
os.environ["XLA_FLAGS"] = "--xla_gpu_autotune_level=0 --xla_gpu_deterministic_ops=true"

import jax
import jax.numpy as jnp

import measured

weights = jax.random.normal(jax.random.PRNGKey(1), (512, 512)) * 0.02
inputs = jax.random.normal(jax.random.PRNGKey(2), (256, 512))


@jax.jit
def descend(weights):
    def loss(w):
        return jnp.mean((jnp.tanh(inputs @ w) - jnp.sin(inputs)) ** 2)

    value, gradient = jax.value_and_grad(loss)(weights)
    return weights - gradient, value


def step():
    global weights
    for _ in range(10):
        weights, value = descend(weights)
    spectrum = jnp.abs(jnp.fft.fft(weights)).max()
    return float(value), float(spectrum)


measured.main(step, lambda: weights.block_until_ready())
