"""A few training steps in JAX with its allocator that does not cache."""

import jax
import jax.numpy as jnp

key = jax.random.PRNGKey(1)
weights = jax.random.normal(key, (512, 512)) * 0.02
inputs = jax.random.normal(key, (256, 512))


@jax.jit
def loss(weights):
    return jnp.mean((jnp.tanh(inputs @ weights) - 1) ** 2)


step = jax.jit(lambda weights: weights - 0.1 * jax.grad(loss)(weights))
first = float(loss(weights))
for _ in range(20):
    weights = step(weights)
# Which kernels the compiler picks may differ from run to run, and with them the last digits.
print("platform", jax.devices()[0].platform)
print("the loss fell:", float(loss(weights)) < first)
