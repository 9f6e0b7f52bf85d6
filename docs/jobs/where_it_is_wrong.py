"""Train, look at what the network gets wrong, and write a picture of it, a report and a model card."""
# needs: plots

from pathlib import Path

import pymnistcnn as pm
from pymnistcnn.recipes import fast
from pymnistcnn.report import Run, write

train, test = pm.datasets.mnist()
recipe, recorder = fast(seed=1), pm.Recorder()
history = recipe.model.fit(
    train, epochs=1, batch_size=recipe.batch_size, optimizer=recipe.optimizer, schedule=recipe.schedule,
    validation=test, callbacks=[recorder], progress=False,
)  # fmt: skip

what = pm.interpret(recipe.model, test)
for label, answer, count in what.most_confused()[:3]:
    print(f"{count} pictures of {label} were read as {answer}")
print("the least expected labels are those of", what.top_losses(5)["index"])

pm.plots.mistakes(what, k=30).figure.savefig("mistakes.png")
write("report.html", Run("MNIST, recipe fast", recipe.model, test, history, recorder))
Path("card.md").write_text(recipe.model.card(recipe.model.evaluate(test)))
print("see mistakes.png, report.html and card.md")
