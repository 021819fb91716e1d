"""What the tokenizer's pictures are held to: one idea a file, pure functions of pictures [b, t, h, w] in 0..1.

`weights` names all losses and says how much each counts; `picture` computes those that are on; `balance` makes weights
shares of the gradient. What learns or is frozen stands in `adversary`, `critic` and `judges`.
"""
