import type { Clock } from '@bankside/service-kit/clock'
import type { Database } from '@bankside/service-kit/postgres'
import type { Configuration } from 'oidc-provider'
import { assertBindingMessage } from './binding-message.ts'
import { customerOfLoginHint, refuseLoginHintToken } from './hints.ts'
import { pollIntervalSeconds } from './slow-down.ts'

type Ciba = NonNullable<NonNullable<Configuration['features']>['ciba']>

/** CIBA as the library is told of it: poll and ping, never push (CIBA-03). */
export function ciba({ database, clock, salt }: { readonly database: Database; readonly clock: Clock; readonly salt: string }): Ciba {
  return {
    enabled: true,
    deliveryModes: ['poll', 'ping'],
    processLoginHint: (ctx, hint) => customerOfLoginHint(ctx, hint ?? '', { database, clock, salt }),
    processLoginHintToken: refuseLoginHintToken,
    validateBindingMessage: assertBindingMessage,
    // CIBA-07: what a client says of its surroundings is not asked for, and not looked at.
    validateRequestContext: () => {},
    verifyUserCode: () => {},
    // The customer was told with the request itself; what is left is to say how often to poll.
    triggerAuthenticationDevice: (ctx) => {
      ctx.body = { ...(ctx.body as object), interval: pollIntervalSeconds }
    },
  }
}
