import { type BackchannelRequestId, type ConsentId, type CustomerId, isConsentId } from '@bankside/bank/ids'
import { sql, type Transaction, z } from '@bankside/service-kit/postgres'
import type { RequestParameters } from '../intents/intent.ts'
import type { StoredSeals } from '../storage/stored-seals.ts'
import { questionPlace } from './sealed-places.ts'

/** What a third party asks a customer from elsewhere, as far as the customer's pages need it. */
export type Prompt = {
  readonly idHash: Buffer
  readonly requestId: BackchannelRequestId
  readonly clientId: string
  readonly clientName: string
  readonly consentId: ConsentId | undefined
  readonly bindingMessage: string | undefined
  readonly params: RequestParameters
  readonly askedAt: Date
  readonly expiresAt: Date
  readonly outcome: Outcome | undefined
}
export type Outcome = 'approved' | 'denied' | 'expired'

const promptRow = z.object({
  id_hash: z.instanceof(Buffer),
  request_id: z.templateLiteral(['bar_', z.string()]),
  client_id: z.string(),
  customer_id: z.string(),
  client_name: z.string(),
  payload: z.string(),
  created_at: z.date(),
  expires_at: z.date(),
  outcome: z.enum(['approved', 'denied', 'expired']).nullable(),
})

/** A customer's own, whatever became of it. Undefined for another customer's, which is told from no request by nobody. */
export async function findPrompt(tx: Transaction, requestId: string, { customerId, seals }: Whose): Promise<Prompt | undefined> {
  const row = await tx.maybeOne(sql.type(promptRow)`${promptsOf(customerId)} and r.request_id = ${requestId}`)
  return row === null ? undefined : toPrompt(row, seals)
}

/** What waits for a customer's answer, latest first. A client that is blocked asks nothing any more. */
export async function listWaitingPrompts(tx: Transaction, { customerId, seals, now }: Whose & { now: Date }): Promise<readonly Prompt[]> {
  const rows = await tx.any(sql.type(promptRow)`
    ${promptsOf(customerId)} and r.outcome is null and r.expires_at > ${sql.timestamp(now)} and c.status = 'active'
    order by r.created_at desc, r.request_id`)
  return rows.flatMap((row) => toPrompt(row, seals) ?? [])
}

const promptsOf = (customerId: CustomerId) => sql.fragment`
  select r.id_hash, r.request_id, r.client_id, r.customer_id, c.name as client_name, r.payload, r.created_at, r.expires_at, r.outcome
  from oidc.backchannel_authentication_request r join clients.client c on c.client_id = r.client_id
  where r.customer_id = ${customerId}`

export type Whose = { readonly customerId: CustomerId; readonly seals: StoredSeals }

const question = z.object({
  accountId: z.string(),
  clientId: z.string(),
  params: z.record(z.string(), z.unknown()),
  prompt: z.object({ requestId: z.string(), consentId: z.custom<ConsentId>(isConsentId).optional() }),
})

/** Whom it asks, what for and for whom is taken from what is sealed; a row that says otherwise is none. */
function toPrompt(row: z.infer<typeof promptRow>, seals: StoredSeals): Prompt | undefined {
  const opened = seals.open(questionPlace(row.id_hash), row.payload)
  if (opened === undefined) return undefined
  const { accountId, clientId, params, prompt } = question.parse(JSON.parse(opened))
  if (accountId !== row.customer_id || clientId !== row.client_id || prompt.requestId !== row.request_id) return undefined
  const message = params['binding_message']
  return {
    idHash: row.id_hash,
    requestId: row.request_id,
    clientId,
    clientName: row.client_name,
    consentId: prompt.consentId,
    bindingMessage: typeof message === 'string' ? message : undefined,
    params,
    askedAt: row.created_at,
    expiresAt: row.expires_at,
    outcome: row.outcome ?? undefined,
  }
}

/** The prompt, held until the transaction ends, if it can still be answered: of several answers the first one counts. */
export async function lockOpenPrompt(
  tx: Transaction,
  { requestId, customerId, now }: { readonly requestId: BackchannelRequestId; readonly customerId: CustomerId; readonly now: Date },
): Promise<'open' | 'answered' | 'ran_out'> {
  const row = await tx.maybeOne(sql.type(z.object({ outcome: z.string().nullable(), expires_at: z.date() }))`
    select outcome, expires_at from oidc.backchannel_authentication_request
    where request_id = ${requestId} and customer_id = ${customerId} for no key update`)
  if (row === null) throw new Error('a prompt was answered that its customer does not have')
  if (row.outcome !== null) return row.outcome === 'expired' ? 'ran_out' : 'answered'
  return row.expires_at > now ? 'open' : 'ran_out'
}
