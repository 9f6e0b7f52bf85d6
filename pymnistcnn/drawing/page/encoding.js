// Arrays as JSON has them: {shape, data}, the data in base64; and what is written on the page as the page begins.

const about = JSON.parse(document.getElementById("about").textContent);

function decoded({ shape, data }, Kind = Uint8Array) {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  return { shape, values: new Kind(bytes.buffer) };
}
