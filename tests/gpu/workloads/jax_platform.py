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
for _ in range(20):
    weights = step(weights)
print("devices", jax.devices()[0].platform)
print("loss", f"{float(loss(weights)):.5f}")
