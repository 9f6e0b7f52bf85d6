"""ONNX Runtime: inference of a network that we exported; serving.py has how it is asked."""

import onnxruntime
from serving import inference, serve


def set_up(job):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = job["threads"]
    session = onnxruntime.InferenceSession(job["onnx"], options, providers=["CPUExecutionProvider"])
    (name,) = (given.name for given in session.get_inputs())

    def client():
        return lambda pictures: session.run(None, {name: pictures})

    return onnxruntime.__version__, inference(job, client)


if __name__ == "__main__":
    serve(set_up)
