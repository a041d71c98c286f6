"""The study of upsampling heads: its runs, what is computed from them, the words for it, the figures."""
