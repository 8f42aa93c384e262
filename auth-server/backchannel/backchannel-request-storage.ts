import type { CustomerId } from '@bankside/bank/ids'
import type { Clock } from '@bankside/service-kit/clock'
import type { Log } from '@bankside/service-kit/log'
import type { Database } from '@bankside/service-kit/postgres'
import type { Prepared } from '@bankside/service-kit/prepared'
import { type Adapter, type AdapterPayload, type Client, errors, Provider } from 'oidc-provider'
import type { State } from '../http/request-context.ts'
import type { RequestParameters } from '../intents/intent.ts'
import { isAskedOf } from '../intents/requested-subject.ts'
import { protocolErrors } from '../protocol-errors.ts'
import { handleHash } from '../storage/handle-hash.ts'
import type { StoredSeals } from '../storage/stored-seals.ts'
import { askCustomer } from './ask-customer.ts'
import { requestObjectOf } from './request-object.ts'
import { longestSeconds } from './request-seconds.ts'
import { answerPlace, questionPlace } from './sealed-places.ts'

export type BackchannelNeeds = {
  readonly prepared: Prepared
  readonly database: Database
  readonly clock: Clock
  readonly log: Log
  readonly seals: StoredSeals
  readonly notificationKey: Buffer
  readonly salt: string
}

type Row = { readonly id_hash: Buffer; readonly payload: string; readonly answer: string | null; readonly decided_at: Date | null }

/** A decision at the last moment can still be fetched. */
const fetchableAfterDecisionSeconds = 60

/**
 * CIBA requests stay in PostgreSQL wherever the other short-lived artifacts are: a customer's decision, the consent and the
 * notification of the client are one transaction. Rows are kept beyond their time, so that who polls is told `expired_token`.
 */
export function backchannelRequestStorage(needs: BackchannelNeeds): Partial<Adapter> {
  const { prepared, database, clock, log, seals, notificationKey, salt } = needs
  return {
    async upsert(handle, payload, expiresInSeconds = longestSeconds) {
      const now = clock.now()
      const { client, requestId, maxAge } = caller()
      const { params = {}, ...stored } = withoutHandle(payload)
      // The hint named the customer: whatever else names one must mean the same (OIDC Core 5.5.1).
      if (!isAskedOf(params, client, { customerId: payload.accountId ?? '', salt }))
        throw new errors.InvalidRequest('the claim sub is of another customer than the hint')
      const question = {
        handle,
        client,
        customerId: payload.accountId as CustomerId,
        params: params as RequestParameters,
        payload: { ...stored, params: { ...readBack(params), ...(maxAge !== undefined && { max_age: maxAge }) } },
        notification: notificationOf(client, params),
        interactionId: requestId,
        expiresAt: new Date(now.getTime() + expiresInSeconds * 1000),
        now,
      }
      await protocolErrors(askCustomer(database, question, { seals, notificationKey }))
    },
    async find(handle) {
      const text = 'select id_hash, payload, answer, decided_at from oidc.backchannel_authentication_request where id_hash = $1'
      const [row] = await protocolErrors(prepared.query<Row>('oidc_backchannel_find', text, [handleHash(handle)]))
      const payload = row && openedRow(row, seals)
      if (row !== undefined && payload === undefined)
        log.error('a backchannel request was not written by this server, or has been changed: it is not served')
      return payload && { ...payload, jti: handle }
    },
    /** A yes is fetched once; a no may be told as often as it is asked for. */
    async consume(handle) {
      const text = `update oidc.backchannel_authentication_request
        set consumed_at = case when outcome = 'approved' then $2::timestamptz end
        where id_hash = $1 and consumed_at is null and outcome in ('approved', 'denied') returning true as consumed`
      const consumed = await protocolErrors(prepared.query('oidc_backchannel_consume', text, [handleHash(handle), clock.now()]))
      if (consumed.length === 0) throw new errors.InvalidGrant()
    },
    async revokeByGrantId(grantId) {
      const text = 'update oidc.backchannel_authentication_request set consumed_at = $2 where grant_id = $1 and consumed_at is null'
      await protocolErrors(prepared.query('oidc_backchannel_revoke', text, [grantId, clock.now()]))
    },
  }
}

/** Whose request is being answered: the library tells its storage the model only. */
function caller(): { readonly client: Client; readonly requestId: string | undefined; readonly maxAge: unknown } {
  const { ctx } = Provider
  if (ctx?.oidc.client === undefined) throw new Error('a backchannel request outside a request')
  // The library turns a `max_age` of nothing into a prompt for signing in, which it then forgets.
  return { client: ctx.oidc.client, requestId: (ctx.state as State).requestId, maxAge: requestObjectOf(ctx)?.['max_age'] }
}

function withoutHandle({
  jti: _handle,
  ...payload
}: AdapterPayload): AdapterPayload & { readonly params?: Readonly<Record<string, unknown>> } {
  return payload as AdapterPayload & { readonly params?: Readonly<Record<string, unknown>> }
}

/** Hints say who somebody is and the notification token opens the client's door: neither is needed again. */
const parametersReadBack = ['scope', 'claims', 'authorization_details', 'acr_values', 'binding_message', 'resource']

const readBack = (params: Readonly<Record<string, unknown>>) =>
  Object.fromEntries(parametersReadBack.flatMap((name) => (params[name] === undefined ? [] : [[name, params[name]]])))

function notificationOf(client: Client, params: Readonly<Record<string, unknown>>) {
  const endpoint = client.backchannelClientNotificationEndpoint
  if (client.backchannelTokenDeliveryMode !== 'ping' || endpoint === undefined) return undefined
  return { endpoint, token: String(params['client_notification_token']) }
}

/** Undefined for what this server did not write into this row. */
function openedRow({ id_hash, payload, answer, decided_at }: Row, seals: StoredSeals): AdapterPayload | undefined {
  const asked = seals.open(questionPlace(id_hash), payload)
  if (asked === undefined) return undefined
  const question = JSON.parse(asked) as AdapterPayload
  if (answer === null || decided_at === null) return question
  const decided = seals.open(answerPlace(id_hash), answer)
  const fetchableUntil = Math.floor(decided_at.getTime() / 1000) + fetchableAfterDecisionSeconds
  return decided === undefined
    ? undefined
    : { ...question, ...(JSON.parse(decided) as AdapterPayload), exp: Math.max(question.exp ?? 0, fetchableUntil) }
}
