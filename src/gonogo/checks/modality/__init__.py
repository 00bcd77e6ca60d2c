"""Is every stream of a multimodal run used, and may it be padded or absent?"""
