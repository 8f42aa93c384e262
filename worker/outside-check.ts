import { hash, type KeyObject, randomBytes, sign } from 'node:crypto'
import { formatMoney } from '@bankside/bank/money'
import type { Payment } from '@bankside/bank/payments/payment'
import type { Assessment, PaymentCheck } from '@bankside/bank/risk/payment-check'
import { type GuardedFetch, OutboundError } from '@bankside/service-kit/guarded-fetch'
import { z } from '@bankside/service-kit/postgres'

export type SigningKey = { readonly key: KeyObject; readonly kid: string }
export type OutsideCheckSettings = {
  readonly url: string
  readonly signing?: SigningKey | undefined
  /** What is said of a payment that waited for longer than `patienceMs` when there was no answer. */
  readonly unavailable: 'review' | 'refuse'
  readonly patienceMs: number
}
export type OutsideCheckNeeds = OutsideCheckSettings & {
  /** Bounded in time and size, by the worker's certificate where it has one. */
  readonly call: GuardedFetch
  readonly onAnswers?: (verdict: Assessment['verdict'] | 'unavailable', count: number) => void
  readonly onUnavailable?: (why: string, payments: number) => void
}

/** Why the answer was not taken, or there was none. Holds no part of it. */
class NoAnswer extends Error {
  override name = 'NoAnswer'
}

/**
 * Asks a service of the bank's or of somebody else's about payments, by one POST for many. It may be asked about a payment again,
 * and must answer the same: the key of a request follows from its payments alone. An answer counts for the very request that it repeats the
 * nonce of, is taken whole or not at all, and says something of payments that were asked about and of nothing else.
 *
 * Where there is no answer the payments are asked about again when their lease ends. One that has waited too long is held back for a person, or
 * refused, as is configured; that nobody answered is the reason kept with it.
 */
export function outsideCheck({ url, signing, unavailable, patienceMs, call, onAnswers, onUnavailable }: OutsideCheckNeeds): PaymentCheck {
  return async (payments, { now, signal }) => {
    const tooLong = payments.filter(({ createdAt }) => now.getTime() - createdAt.getTime() >= patienceMs)
    try {
      const assessments = await ask()
      for (const [verdict, those] of Map.groupBy(assessments, (one) => one.verdict)) onAnswers?.(verdict, those.length)
      const answered = new Set(assessments.map(({ paymentId }) => paymentId))
      const left = tooLong.filter(({ id }) => !answered.has(id))
      return [...assessments, ...left.map(({ id }) => givenUp(id, unavailable, 'it said nothing of this payment'))]
    } catch (error) {
      if (!(error instanceof NoAnswer || error instanceof OutboundError)) throw error
      onUnavailable?.(error.message, payments.length)
      onAnswers?.('unavailable', payments.length)
      if (tooLong.length === 0) throw error
      return tooLong.map(({ id }) => givenUp(id, unavailable, error.message))
    }

    async function ask(): Promise<readonly Assessment[]> {
      const nonce = randomBytes(nonceBytes).toString('base64url')
      const question = { format: 'bankside-risk-question/1', nonce, asked_at: now.toISOString(), payments: payments.map(shown) }
      const response = await call(url, {
        method: 'POST',
        headers: {
          accept: 'application/json',
          'content-type': signing === undefined ? 'application/json' : 'application/jwt',
          'idempotency-key': keyOf(payments),
        },
        body: signing === undefined ? JSON.stringify(question) : signed({ aud: url, iat: seconds(now), jti: nonce, ...question }, signing),
        signal,
      })
      if (response.status !== 200) throw new NoAnswer(`it answered ${response.status}`)
      return read(await response.text(), nonce, payments)
    }
  }
}

const nonceBytes = 16
const seconds = (at: Date): number => Math.floor(at.getTime() / 1000)

function keyOf(payments: readonly Payment[]): string {
  const ids = payments.map(({ id }) => id).toSorted()
  return hash('sha256', ids.join(' '), 'base64url')
}

/** What is told of a payment: what the built-in check looks at, and whom it concerns by our own ids. No name or number of who pays. */
function shown(payment: Payment): object {
  const { amount, creditor } = payment
  return {
    payment_id: payment.id,
    consent_id: payment.consentId,
    client_id: payment.clientId,
    customer_id: payment.customerId,
    channel: payment.channel,
    debtor_account_id: payment.debtorAccountId,
    creditor: {
      name: creditor.name,
      scheme: creditor.schemeName,
      identification: creditor.identification,
      banks_here: payment.creditorIsOurs,
    },
    amount: formatMoney(amount),
    currency: amount.currency,
    reference: payment.reference,
    created_at: payment.createdAt.toISOString(),
  }
}

/** A JWS in compact form (RFC 7515, EdDSA). */
function signed(claims: object, { key, kid }: SigningKey): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const input = `${part({ alg: 'EdDSA', kid, typ: 'JWT' })}.${part(claims)}`
  return `${input}.${sign(null, Buffer.from(input), key).toString('base64url')}`
}

const word = z.string().max(200)
const answer = z.strictObject({
  format: z.literal('bankside-risk-answer/1'),
  nonce: z.string(),
  answers: z
    .array(
      z.strictObject({
        payment_id: z.string(),
        verdict: z.enum(['pass', 'review', 'refuse']),
        score: z.int().min(0).max(1_000_000),
        reasons: z
          .array(z.strictObject({ rule: word.min(1), points: z.int().min(-1_000_000).max(1_000_000), words: word, fact: word }))
          .max(20),
      }),
    )
    .max(1_000),
})

function read(text: string, nonce: string, payments: readonly Payment[]): readonly Assessment[] {
  let given: unknown
  try {
    given = JSON.parse(text)
  } catch {
    throw new NoAnswer('its answer is not JSON')
  }
  const parsed = answer.safeParse(given)
  if (!parsed.success) throw new NoAnswer(`its answer is not what it must be: ${parsed.error.issues[0]?.path.join('.')}`)
  if (parsed.data.nonce !== nonce) throw new NoAnswer('its answer is to another request')
  const asked = new Map<string, Payment['id']>(payments.map(({ id }) => [id, id]))
  const { answers } = parsed.data
  if (new Set(answers.map(({ payment_id }) => payment_id)).size !== answers.length) throw new NoAnswer('it answers twice about one payment')
  return answers.map(({ payment_id, ...said }) => {
    const paymentId = asked.get(payment_id)
    if (paymentId === undefined) throw new NoAnswer('it answers about a payment that it was not asked about')
    return { paymentId, ...said }
  })
}

const givenUp = (paymentId: Payment['id'], verdict: 'review' | 'refuse', why: string): Assessment => ({
  paymentId,
  verdict,
  score: 0,
  reasons: [{ rule: 'outside_check_unavailable', points: 0, words: 'The check elsewhere did not answer', fact: why }],
})
