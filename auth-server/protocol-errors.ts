import { Unavailable } from '@bankside/service-kit/refusal'
import { errors } from 'oidc-provider'

/** For whatever the library waits for: "not now" becomes an error it can answer with, also by redirect. Anything else stays what it is. */
export async function protocolErrors<Result>(work: Promise<Result>): Promise<Result> {
  try {
    return await work
  } catch (error) {
    if (error instanceof Unavailable) throw new errors.TemporarilyUnavailable('try again in a moment', { cause: error })
    throw error
  }
}
