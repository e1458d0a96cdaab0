"""Names of a Llama's tensors in GGUF files and in folders of Hugging Face format."""

import re

# By part, GGUF's name first.
NAMES = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
PARTS = {theirs: ours for ours, theirs in NAMES.items()}
LAYER_TENSOR = re.compile(r"model\.layers\.(\d+)\.(.+)\.(weight|bias)")


def gguf_name(name: str) -> str:
    """GGUF's name of a tensor: `model.layers.3.self_attn.q_proj.weight` -> `blk.3.attn_q.weight`."""
    if match := LAYER_TENSOR.fullmatch(name):
        layer, part, kind = match.groups()
        return f"blk.{layer}.{PARTS[part]}.{kind}"
    part, _, kind = name.rpartition(".")
    return f"{PARTS[part]}.{kind}"
