import type { SkopeoVersion } from "../tools/skopeo_version.ts";
import type { Requirements } from "./policy.ts";

/** What a requirement needs of skopeo. */
export interface NeededSkopeo {
  /** The field that needs it. */
  readonly field: string;
  /** The first version that knows the field. */
  readonly since: SkopeoVersion;
}

/** Of `sigstoreSigned`, by the containers/image of each skopeo: 5.24, 5.33 and 5.35. */
const SINCE: readonly (readonly [fields: readonly string[], since: SkopeoVersion])[] = [
  [["pki"], [1, 19]],
  [["keyPaths", "keyDatas", "rekorPublicKeyPaths", "rekorPublicKeyDatas"], [1, 17]],
  [["fulcio", "rekorPublicKeyPath", "rekorPublicKeyData"], [1, 11]],
];

/**
 * Says which skopeo a requirement needs: an older one refuses the whole policy.
 *
 * @param requirement The requirement.
 * @returns What needs the newest one; `undefined` if any will do.
 */
export function neededSkopeo(requirement: Requirements[number]): NeededSkopeo | undefined {
  if (requirement.type !== "sigstoreSigned") return undefined;
  for (const [fields, since] of SINCE) {
    const field = fields.find((each) => Object.hasOwn(requirement, each));
    if (field !== undefined) return { field, since };
  }
  return undefined;
}
