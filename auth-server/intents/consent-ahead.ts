import type { ConsentKind } from '@bankside/bank/consents/consent'
import { findIntentKind } from '@bankside/bank/consents/find-intent'
import { type ConsentId, isConsentId } from '@bankside/bank/ids'
import type { Clock } from '@bankside/service-kit/clock'
import { type Database, outsideTransaction } from '@bankside/service-kit/postgres'
import { Provider } from 'oidc-provider'
import { keptWithRequest } from '../http/kept-with-request.ts'
import { protocolErrors } from '../protocol-errors.ts'
import { isClientId } from '../storage/client-storage.ts'

type Sought = { readonly consentId: ConsentId; readonly clientId: string }
type Asked = Sought & { readonly kind: Promise<ConsentKind | undefined> }

/** Of which kind a consent is that this client may have a customer asked about now. */
export type IntentKinds = {
  /** @throws {Unavailable} as a protocol error. */
  find(request: object, sought: Sought): Promise<ConsentKind | undefined>
  /** A pushed request names its consent in its form: that is asked for beside its client, so that the request waits for both at once. */
  askAhead(provider: Provider): void
}

export function intentKinds(database: Database, clock: Clock): IntentKinds {
  const ahead = keptWithRequest<Asked>('consent asked ahead')
  const ask = (sought: Sought) => protocolErrors(outsideTransaction(database, (tx) => findIntentKind(tx, { ...sought, now: clock.now() })))
  return {
    find(request, sought) {
      const asked = ahead.get(request)
      ahead.delete(request)
      return asked?.consentId === sought.consentId && asked.clientId === sought.clientId ? asked.kind : ask(sought)
    },
    askAhead({ Client }) {
      const { find } = Client
      Client.find = (clientId) => {
        const { ctx } = Provider
        const isPushed = ctx?.oidc.route === 'pushed_authorization_request'
        // The name is whatever a stranger wrote: nothing is looked for where there cannot be such a client.
        const consentId = isPushed && isClientId(clientId) ? consentIn(ctx.oidc.body) : undefined
        if (ctx !== undefined && consentId !== undefined && ahead.get(ctx) === undefined) {
          const kind = ask({ consentId, clientId })
          // When the request is refused before, nobody comes for it.
          kind.catch(() => {})
          ahead.set(ctx, { consentId, clientId, kind })
        }
        return find.call(Client, clientId)
      }
    },
  }
}

/** What looks like it: which one is meant, if any, is found out from all of the request, and then compared. */
function consentIn(form: Readonly<Record<string, unknown>> | undefined): ConsentId | undefined {
  const texts = [form?.['claims'], form?.['authorization_details']].filter((member) => typeof member === 'string')
  return texts.map((text) => /con_[0-9a-f]{32}/.exec(text)?.[0]).find(isConsentId)
}
