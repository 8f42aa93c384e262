import { appendAudit } from '@bankside/bank/audit/append-audit'
import { findIntent } from '@bankside/bank/consents/find-intent'
import { recordEvent } from '@bankside/bank/events/record-event'
import { type BackchannelRequestId, type ConsentId, type CustomerId, newBackchannelRequestId } from '@bankside/bank/ids'
import { refusalOf } from '@bankside/bank/refusal'
import { type Database, sql, type Transaction, transact, z } from '@bankside/service-kit/postgres'
import { seal } from '@bankside/service-kit/seal'
import { type AdapterPayload, type Client, errors } from 'oidc-provider'
import { consentOfIntent } from '../intents/consent-of-intent.ts'
import { intentOf, type RequestParameters } from '../intents/intent.ts'
import { handleHash } from '../storage/handle-hash.ts'
import type { StoredSeals } from '../storage/stored-seals.ts'
import { questionPlace } from './sealed-places.ts'
import { pollIntervalSeconds } from './slow-down.ts'

export type Question = {
  /** The auth_req_id. Kept as a hash only. */
  readonly handle: string
  readonly client: Client
  readonly customerId: CustomerId
  readonly params: RequestParameters
  /** For the library, without handles. */
  readonly payload: AdapterPayload
  /** Where the client wants to be called, and what with: absent for one that polls. */
  readonly notification: { readonly endpoint: string; readonly token: string } | undefined
  readonly interactionId: string | undefined
  readonly expiresAt: Date
  readonly now: Date
}

export type AskingKeys = { readonly seals: StoredSeals; readonly notificationKey: Buffer }

/** CIBA-13. So many in a row without a yes, from one client to one customer within the hour: the next one is not shown. */
export const promptsInARowLimit = 5
const promptsInARowHours = 1
/** From all clients together. */
export const openPromptsLimit = 10

/**
 * Keeps what a third party asks a customer, and tells the customer that something waits. Questions to one customer are taken
 * one by one, so that of many at once no more are shown than may be.
 *
 * @throws {InvalidRequest} the consent is not open, is another customer's, or has an open request already (CIBA-12).
 * @throws {InvalidAuthorizationDetails} what is asked for cannot be agreed to.
 * @throws {AccessDenied} this customer was asked too often.
 */
export async function askCustomer(database: Database, question: Question, keys: AskingKeys): Promise<void> {
  await transact(database, async (tx) => {
    await takeTurn(tx, question)
    await markExpired(tx, question)
    await assertMayPrompt(tx, question)
    const consentId = await consentOf(tx, question)
    const requestId = newBackchannelRequestId()
    await insertRequest(tx, question, { requestId, consentId }, keys)
    if (question.notification !== undefined) await insertNotification(tx, question, requestId, keys)
    await tell(tx, question, { requestId, consentId })
  })
}

/** Held until the transaction ends. */
async function takeTurn(tx: Transaction, { customerId, now }: Question): Promise<void> {
  await tx.query(sql.unsafe`
    insert into oidc.prompted_customer (customer_id, prompted_at) values (${customerId}, ${sql.timestamp(now)})
    on conflict (customer_id) do update set prompted_at = excluded.prompted_at`)
}

async function markExpired(tx: Transaction, { customerId, params, now }: Question): Promise<void> {
  const intent = intentOf(params)
  const consentId = intent?.type === 'openbanking_consent' ? intent.consentId : null
  await tx.query(sql.unsafe`
    update oidc.backchannel_authentication_request set outcome = 'expired', decided_at = ${sql.timestamp(now)}
    where (customer_id = ${customerId} or consent_id = ${consentId}) and outcome is null and expires_at <= ${sql.timestamp(now)}`)
}

const promptsRow = z.object({ open: z.bigint(), in_a_row: z.bigint() })

async function assertMayPrompt(tx: Transaction, { client: { clientId }, customerId, now }: Question): Promise<void> {
  const since = sql.timestamp(new Date(now.getTime() - promptsInARowHours * 3_600_000))
  const { open, in_a_row } = await tx.one(sql.type(promptsRow)`
    select
      count(*) filter (where outcome is null) as open,
      count(*) filter (where client_id = ${clientId} and created_at > ${since} and created_at > coalesce((
        select max(created_at) from oidc.backchannel_authentication_request
        where customer_id = ${customerId} and client_id = ${clientId} and outcome = 'approved'), '-infinity')) as in_a_row
    from oidc.backchannel_authentication_request where customer_id = ${customerId}`)
  if (in_a_row >= promptsInARowLimit || open >= openPromptsLimit)
    throw forbidden(new errors.AccessDenied('this customer was asked too often: ask again later'))
}

/** CIBA 13: this one error of the endpoint is answered with 403. */
const forbidden = (error: errors.OIDCProviderError): errors.OIDCProviderError => Object.assign(error, { status: 403, statusCode: 403 })

async function consentOf(tx: Transaction, question: Question): Promise<ConsentId | undefined> {
  const { client, customerId, params, now } = question
  const consentId = await consentOfIntent(tx, intentOf(params), question).catch(refuseTerms)
  if (consentId === undefined) return undefined
  const consent = await findIntent(tx, { consentId, clientId: client.clientId, now })
  if (consent === undefined) throw new errors.InvalidRequest('the consent is unknown, not yours, or no longer open')
  if (consent.customerId !== undefined && consent.customerId !== customerId)
    throw new errors.InvalidRequest('the consent is of another customer')
  return consentId
}

function refuseTerms(error: unknown): never {
  const refusal = refusalOf(error)
  if (refusal === undefined) throw error
  throw new errors.InvalidAuthorizationDetails(refusal.message)
}

type Named = { readonly requestId: BackchannelRequestId; readonly consentId: ConsentId | undefined }

async function insertRequest(tx: Transaction, question: Question, { requestId, consentId }: Named, { seals }: AskingKeys): Promise<void> {
  const { handle, client, customerId, params, payload, expiresAt, now } = question
  const message = params['binding_message']
  const hash = handleHash(handle)
  const sealed = seals.seal(questionPlace(hash), JSON.stringify({ ...payload, prompt: { requestId, consentId } }))
  const inserted = await tx.maybeOne(sql.type(z.object({ request_id: z.string() }))`
    insert into oidc.backchannel_authentication_request (
      id_hash, request_id, client_id, customer_id, consent_id, binding_message, payload, created_at, expires_at, interval_seconds)
    values (
      ${sql.binary(hash)}, ${requestId}, ${client.clientId}, ${customerId}, ${consentId ?? null},
      ${typeof message === 'string' ? message : null}, ${sealed}, ${sql.timestamp(now)}, ${sql.timestamp(expiresAt)}, ${pollIntervalSeconds})
    on conflict (consent_id) where outcome is null do nothing returning request_id`)
  if (inserted === null) throw new errors.InvalidRequest('the consent has an open request already')
}

async function insertNotification(
  tx: Transaction,
  question: Question,
  requestId: BackchannelRequestId,
  { notificationKey }: AskingKeys,
): Promise<void> {
  const { handle, client, notification, expiresAt } = question
  if (notification === undefined) return
  const secrets = JSON.stringify({ auth_req_id: handle, client_notification_token: notification.token })
  const sealed = seal(notificationKey, secrets, `oidc.backchannel_notification/${requestId}/secrets`)
  await tx.query(sql.unsafe`
    insert into oidc.backchannel_notification (request_id, client_id, endpoint, secrets_sealed, expires_at, attempts)
    values (${requestId}, ${client.clientId}, ${notification.endpoint}, ${sql.binary(sealed)}, ${sql.timestamp(expiresAt)}, 0)`)
}

async function tell(tx: Transaction, question: Question, { requestId, consentId }: Named): Promise<void> {
  const { client, customerId, interactionId, params, now } = question
  const { clientId } = client
  const payload = { consentId: consentId ?? null }
  const type = 'backchannel_request.asked'
  await recordEvent(tx, { type, subject: requestId, clientId, customerId, payload, now })
  const details = { ...payload, customerId, scope: params['scope'] ?? null, bindingMessage: params['binding_message'] ?? null }
  await appendAudit(tx, { actor: clientId, action: type, subject: requestId, interactionId, details, now })
}
