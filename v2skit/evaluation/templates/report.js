
function setUp(clip) {
  const seconds = Number(clip.dataset.seconds);
  const [button, seek, time] = [".play", ".seek", ".time"].map((name) => clip.querySelector(name));
  const radios = [...clip.querySelectorAll("input[type=radio]")];
  const player = new Player(() => JSON.parse(document.getElementById(clip.dataset.sounds).textContent), show);

  function draw() {
    const at = Math.min(seconds, player.position);
    clip.style.setProperty("--at", at / seconds);
    seek.value = at;
    time.textContent = `${at.toFixed(2)} / ${seconds.toFixed(2)} s`;
    if (player.nodes) requestAnimationFrame(draw);
  }

  function show() {
    clip.classList.toggle("playing", Boolean(player.nodes));
    button.setAttribute("aria-label", player.nodes ? "Pause" : "Play");
    draw();
  }

  function choose(number) {
    if (!radios[number]) return;
    radios[number].checked = true;
    player.choose(number);
  }

  button.addEventListener("click", () => player.toggle());
  seek.addEventListener("input", () => player.seek(Number(seek.value)));
  clip.querySelector(".loop").addEventListener("change", (event) => player.setLoop(event.target.checked));
  radios.forEach((radio, number) => radio.addEventListener("change", () => choose(number)));
  clip.querySelectorAll(".lane").forEach((lane) =>
    lane.addEventListener("click", (event) => {
      const box = lane.getBoundingClientRect();
      const radio = lane.parentElement.querySelector("input");
      if (radio) choose(radios.indexOf(radio));
      player.play((seconds * (event.clientX - box.left)) / box.width);
    }),
  );
  clip.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (/^[1-9]$/.test(event.key)) choose(Number(event.key) - 1);
    else if (event.key === " " && !event.target.matches("button, .loop")) player.toggle();
    else if (["ArrowUp", "ArrowDown"].includes(event.key) && event.target !== seek) {
      const checked = radios.findIndex((radio) => radio.checked);
      choose((checked + (event.key === "ArrowUp" ? radios.length - 1 : 1)) % radios.length);
      if (radios.includes(event.target)) radios.find((radio) => radio.checked).focus();
    } else if (["ArrowLeft", "ArrowRight"].includes(event.key) && event.target !== seek) {
      player.seek(Math.max(0, Math.min(seconds, player.position + (event.key === "ArrowLeft" ? -0.25 : 0.25))));
    } else return;
    event.preventDefault();
  });
}

document.querySelectorAll(".clip").forEach(setUp);
