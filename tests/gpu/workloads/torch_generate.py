"""Text generation by an unmodified `transformers` model of Llama's kind, with random
weights: prompts of several lengths, a key-value cache that grows with every token."""

import torch
from transformers import LlamaConfig, LlamaForCausalLM

import measured

torch.manual_seed(1)
config = LlamaConfig(vocab_size=4096, hidden_size=512, intermediate_size=1408,
                     num_hidden_layers=6, num_attention_heads=8, num_key_value_heads=4,
                     max_position_embeddings=1024, bos_token_id=1, eos_token_id=None,
                     pad_token_id=0)
model = LlamaForCausalLM(config).cuda().eval()
turn = 0


@torch.inference_mode()
def step():
    global turn
    turn += 1
    torch.manual_seed(turn)
    prompt = torch.randint(2, 4096, (8, 40 + 17 * (turn % 5)), device="cuda")
    tokens = model.generate(prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=32,
                            do_sample=False)
    return tokens.sum().item(), tokens[0, -8:].tolist()


measured.main(step, torch.cuda.synchronize, steps=4)
