"""OpenVINO: inference of a network that we exported; serving.py has how it is asked."""

import openvino
from serving import inference, serve


def set_up(job):
    model = openvino.Core().read_model(job["onnx"])
    channels, rows, columns = job["layers"][0]["shape"]
    model.reshape([job["batch"], channels, rows, columns])  # a batch that it knows is what it is fastest with
    hints = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": job["threads"],
        "INFERENCE_PRECISION_HINT": "bf16" if job["precision"] == "bf16" else "f32",
    }
    compiled = openvino.compile_model(model, "CPU", hints)

    def client():
        request = compiled.create_infer_request()
        return lambda pictures: request.infer(pictures, share_inputs=True, share_outputs=True)

    return openvino.__version__.partition("-")[0], inference(job, client)


if __name__ == "__main__":
    serve(set_up)
