import type { Clock } from '@bankside/service-kit/clock'
import { type Database, outsideTransaction, sql, z } from '@bankside/service-kit/postgres'
import { errors } from 'oidc-provider'
import type { Context, Next } from '../http/request-context.ts'
import { handleHash } from '../storage/handle-hash.ts'

/** CIBA 7.3: how long a client waits between two polls unless it is told to slow down. */
export const pollIntervalSeconds = 5
/** CIBA 11: each time it did not wait, it has to wait so much longer from then on. */
const slowerBySeconds = 5
const longestIntervalSeconds = 60
/** A poll may be a little early: networks are not even. */
const earlySeconds = 1

/** A client that asks again too soon is told so instead of that nothing was decided. A decision is told whenever it is asked for. */
export function slowDown({ database, clock }: { readonly database: Database; readonly clock: Clock }) {
  return async (ctx: Context, next: Next): Promise<void> => {
    await next()
    const answer = ctx.body as { error?: unknown } | undefined
    if (ctx.state.endpoint?.name !== 'token' || answer?.error !== 'authorization_pending') return
    const { params } = (ctx as unknown as { oidc: { params: Readonly<Record<string, unknown>> } }).oidc
    if (!(await isTooSoon(database, String(params['auth_req_id']), clock.now()))) return
    const { error, error_description } = new errors.SlowDown()
    ctx.body = { error, error_description }
  }
}

/** Of several polls at once, one is in time: each waits for the row of the one before. */
async function isTooSoon(database: Database, handle: string, now: Date): Promise<boolean> {
  const polled = await outsideTransaction(database, (tx) =>
    tx.maybeOne(sql.type(z.object({ too_soon: z.boolean() }))`
      with last as (
        select id_hash, coalesce(polled_at > ${sql.timestamp(now)}::timestamptz - make_interval(secs => interval_seconds - ${earlySeconds}::int), false) as too_soon
        from oidc.backchannel_authentication_request where id_hash = ${sql.binary(handleHash(handle))} for no key update)
      update oidc.backchannel_authentication_request request set
        polled_at = ${sql.timestamp(now)},
        interval_seconds = case when last.too_soon then least(interval_seconds + ${slowerBySeconds}::int, ${longestIntervalSeconds}::int) else interval_seconds end
      from last where request.id_hash = last.id_hash
      returning last.too_soon`),
  )
  return polled?.too_soon ?? false
}
