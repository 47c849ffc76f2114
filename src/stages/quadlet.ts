import type { QuadletStage } from "../../config/mod.ts";
import type { ConfigIssue } from "../errors/mod.ts";
import { defineKind } from "./stage_kind.ts";

/** Units of podman. */
export const quadlet = defineKind<QuadletStage>({
  format: 1,
  reads: "anything",
  check: ({ units, bound = [] }) =>
    bound.flatMap((name, at): ConfigIssue[] => {
      const path = `bound.${at}`;
      const { Container, Image } = units[name] ?? {};
      const image = (Container ?? Image)?.Image;
      if (image === undefined) {
        return [{ path, value: name, expected: "the name of a unit with an image, of `units`" }];
      }
      // bootc looks it up as it is.
      if (!/%|\.(?:image|build)$/.test(String(image))) return [];
      const expected = "a unit that names its image itself, without specifiers of systemd";
      return [{ path, value: String(image), expected }];
    }),
  run: async (stage, context) => (await import("./run/quadlet.ts")).quadlet(stage, context),
});
