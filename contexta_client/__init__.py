"""The capturing side of Contexta: what runs in the training process, the sender, and the questions' client."""
