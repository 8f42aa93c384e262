/**
 * When a key is used: from `nbf` on it signs, until `exp` it is published and accepted; before `nbf` it is published only.
 * Seconds since the epoch, named as OpenID Federation names them in a JWK. What is absent has no limit.
 */
export type Times = { readonly nbf?: number | undefined; readonly exp?: number | undefined }

/** Those that are good now: the one that signs first, then those it replaced, then those to come. */
export function keysInOrder<Key extends Times>(keys: readonly Key[], nowSeconds: number): Key[] {
  const good = keys.filter(({ exp }) => exp === undefined || exp > nowSeconds)
  const since = ({ nbf = 0 }: Key) => (nbf <= nowSeconds ? nbf : -nbf)
  return good.toSorted((one, other) => since(other) - since(one))
}

export const isInUse = ({ nbf = 0 }: Times, nowSeconds: number): boolean => nbf <= nowSeconds

/** When the next of them begins or ends; infinity when none does. */
export function nextChange(keys: readonly Times[], nowSeconds: number): number {
  const ahead = keys.flatMap(({ nbf, exp }) => [nbf, exp]).filter((time) => time !== undefined && time > nowSeconds)
  return Math.min(...(ahead as number[]))
}
