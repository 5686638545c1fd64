(() => {
  // The order of the options: the page comes with the worst first.
  const table = document.getElementById("verdicts");
  const order = document.getElementById("order");
  const worstFirst = [...table.tBodies];
  const asInManual = [...worstFirst].sort((a, b) => a.dataset.place - b.dataset.place);
  let worst = true;
  order.hidden = false;
  order.addEventListener("click", () => {
    worst = !worst;
    table.append(...(worst ? worstFirst : asInManual));
    order.textContent = worst ? "Order as in Docker's manual" : "Worst first";
  });

  // A finger has no pointer to hold over a cell.
  for (const grid of document.querySelectorAll(".grid")) {
    const details = grid.closest("section").querySelector(".pair");
    const show = ({ target }) => {
      const cell = target.closest("td[title]");
      if (!cell) return;
      grid.querySelectorAll(".chosen").forEach((other) => other.classList.remove("chosen"));
      cell.classList.add("chosen");
      details.textContent = cell.title;
      details.hidden = false;
    };
    grid.addEventListener("click", show);
  }
})();
