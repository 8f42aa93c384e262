import type { KoaContextWithOIDC, Provider } from 'oidc-provider'
import { InvalidGrant } from 'oidc-provider/lib/helpers/errors.js'
import * as library from 'oidc-provider/lib/helpers/validate_dpop.js'

export { default, getDpopJwt } from 'oidc-provider/lib/helpers/validate_dpop.js'

/** What the library throws, until it is known that it does. */
class UsedBefore extends Error {
  constructor(description: string) {
    const { stackTraceLimit } = Error
    Error.stackTraceLimit = 0
    super(description)
    Error.stackTraceLimit = stackTraceLimit
  }
}

/**
 * As the library's, which makes the error for a proof that was used before whether or not it was: its two stacks cost a fiftieth of what
 * a token does. Here the error is made when it is thrown.
 */
export async function checkDpopReplay(
  provider: Provider,
  ctx: KoaContextWithOIDC,
  proof: library.Proof | undefined,
  clientId: string,
  Refusal: library.RefusalClass = InvalidGrant,
): Promise<void> {
  try {
    await library.checkDpopReplay(provider, ctx, proof, clientId, UsedBefore)
  } catch (error) {
    throw error instanceof UsedBefore ? new Refusal(error.message) : error
  }
}
