class Int8: pass
