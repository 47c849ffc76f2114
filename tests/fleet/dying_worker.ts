/** A worker that dies of the jobs of an item, as often as it is told: KEY TIMES FOLDER OPTIONS */
import { runWorker } from "@stowage/stowage";

const [key, times, folder, options] = Deno.args;
await runWorker({
  ...JSON.parse(options ?? ""),
  onEvent(event) {
    if (event.type !== "worker" || event.status !== "begun" || event.key !== key) return;
    const deaths = [...Deno.readDirSync(folder ?? "")].length;
    if (deaths >= Number(times)) return;
    Deno.writeTextFileSync(`${folder}/${deaths}`, "");
    Deno.kill(Deno.pid, "SIGKILL");
  },
});
