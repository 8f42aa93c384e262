import { hash } from 'node:crypto'
import { appendAudit } from '@bankside/bank/audit/append-audit'
import { customerNameLimit, findCustomerByName } from '@bankside/bank/customers/find-customer-by-name'
import { getProfile } from '@bankside/bank/customers/get-profile'
import type { CustomerId } from '@bankside/bank/ids'
import type { Clock } from '@bankside/service-kit/clock'
import { type Database, outsideTransaction } from '@bankside/service-kit/postgres'
import { type Account, errors, type KoaContextWithOIDC } from 'oidc-provider'
import type { State } from '../http/request-context.ts'
import { protocolErrors } from '../protocol-errors.ts'
import { customerOfSubject } from '../tokens/pairwise-subject.ts'

export type HintNeeds = { readonly database: Database; readonly clock: Clock; readonly salt: string }

/**
 * Whom the client means (CIBA-12): a user name, a verified e-mail address, or the `sub` that this client knows its customer
 * by. Undefined is answered with `unknown_user_id`, which CIBA asks for; of somebody who is known nothing more is told. Each
 * name that leads nowhere is on record, so that a client that tries many is seen.
 */
export async function customerOfLoginHint(
  ctx: KoaContextWithOIDC,
  hint: string,
  { database, clock, salt }: HintNeeds,
): Promise<CustomerId | undefined> {
  const { client } = ctx.oidc
  if (client === undefined) throw new Error('a hint of no client')
  if (hint.length > customerNameLimit) throw new errors.InvalidRequest(`login_hint must have at most ${customerNameLimit} characters`)
  const bySubject = customerOfSubject(salt, hint, client.clientId)
  if (bySubject !== undefined) return bySubject
  return protocolErrors(
    outsideTransaction(database, async (tx) => {
      const found = await findCustomerByName(tx, hint)
      if (found === undefined)
        await appendAudit(tx, {
          actor: client.clientId,
          action: 'customer.not_found_by_hint',
          subject: `hint:${hash('sha256', hint)}`,
          interactionId: (ctx.state as State).requestId,
          details: {},
          now: clock.now(),
        })
      return found
    }),
  )
}

type FindAccount = (ctx: KoaContextWithOIDC, id: string) => Account | Promise<Account>

/**
 * Where the library looks for whoever a hint named. The subject of an `id_token_hint` is this client's name for the customer;
 * and of no hint is it certain yet that there is such a customer.
 */
export function findHintedAccount(find: FindAccount, { database, salt }: Pick<HintNeeds, 'database' | 'salt'>) {
  return async (ctx: KoaContextWithOIDC, id: string): Promise<Account | undefined> => {
    if (ctx.oidc.route !== 'backchannel_authentication') return find(ctx, id)
    const customerId = customerOfSubject(salt, id, ctx.oidc.client?.clientId ?? '') ?? (id as CustomerId)
    const profile = await protocolErrors(outsideTransaction(database, (tx) => getProfile(tx, customerId)))
    return profile && find(ctx, profile.customerId)
  }
}

/** @throws {InvalidRequest} nobody signs such tokens for this bank. */
export function refuseLoginHintToken(): never {
  throw new errors.InvalidRequest('login_hint_token is not supported: use login_hint or id_token_hint')
}
