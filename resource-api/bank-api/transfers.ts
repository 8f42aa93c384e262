import { isAccountId, isBeneficiaryId } from '@bankside/bank/ids'
import { isCurrency } from '@bankside/bank/money'
import { getPayment } from '@bankside/bank/payments/get-payment'
import { type Payment, rejectionReasons } from '@bankside/bank/payments/payment'
import type { Initiation, Made } from '@bankside/bank/payments/payment-order'
import { type BankRefusal, refuse } from '@bankside/bank/refusal'
import { isShownText } from '@bankside/bank/shown-text'
import { Refusal } from '@bankside/service-kit/refusal'
import { z } from 'zod'
import type { Call, Reply } from '../api.ts'
import { jsonPointer, parseBody } from '../parse-body.ts'
import { renderBankProblem } from './errors.ts'
import { cents } from './reply.ts'
import { statuses } from './transactions.ts'

const descriptionLimit = 140

const transferRequest = z.strictObject({
  source_account_id: z.string().refine(isAccountId, 'not the id of an account'),
  destination_account_id: z.string().refine((id) => isAccountId(id) || isBeneficiaryId(id), 'not the id of an account or a beneficiary'),
  amount_cents: z.int().positive(),
  currency: z.string().refine(isCurrency, { params: { refusal: 'currency_unsupported' }, message: 'not a supported currency' }),
  description: z.string().trim().min(1).max(descriptionLimit).refine(isShownText, 'holds characters that cannot be shown'),
})
type TransferRequest = z.output<typeof transferRequest>

/** Checked before anyone is sent through a step-up, and again when the transfer is made. */
export function checkTransfer(body: unknown): TransferRequest {
  const transfer = parseBody(transferRequest, body, jsonPointer)
  if (transfer.source_account_id === transfer.destination_account_id)
    refuse('account_not_usable', 'from and to are one account', { path: '/destination_account_id' })
  return transfer
}

/** The account that the body says money leaves, for the access decision. */
export function sourceNamedIn(body: unknown): string | undefined {
  const named = (body as { source_account_id?: unknown } | null)?.source_account_id
  return typeof named === 'string' ? named : undefined
}

/** POST /transactions/transfer: spends the authorization that was given for exactly this transfer (NAT-S4). */
export function orderTransfer({ access, body }: Call): { readonly consentId: string } & Initiation {
  const transfer = checkTransfer(body)
  const { currency } = transfer
  if (!isCurrency(currency) || access.consentId === undefined) throw new Error('checked before')
  return {
    consentId: access.consentId,
    channel: 'bank_api',
    initiation: {
      debtorAccountId: transfer.source_account_id,
      creditorAccountId: transfer.destination_account_id,
      amount: { minor: BigInt(transfer.amount_cents), currency },
      reference: transfer.description,
    },
  }
}

/** NAT-05: first it is told that it was taken, also of one that was posted at once. */
export const renderMadeTransfer = async (call: Call, { made }: Made): Promise<Reply> => renderPayment(call, made, 'PENDING')

/**
 * As it is now: 202 once the funds are set aside or have moved (NAT-S5). A transfer that was recorded as rejected at once is answered with 422: the
 * record stays, and so does the answer of a repeat.
 */
export async function renderTransfer(call: Call, paymentId: string): Promise<Reply> {
  return renderPayment(call, await getPayment(call.tx, { paymentId, clientId: call.access.clientId }))
}

type TransferStatus = (typeof statuses)[keyof typeof statuses]

function renderPayment({ interactionId }: Call, payment: Payment, status: TransferStatus = statuses[payment.status]): Reply {
  const atOnce = payment.statusUpdatedAt.getTime() === payment.createdAt.getTime()
  if (payment.status === 'rejected' && atOnce)
    return renderBankProblem({ kind: 'refused', refusals: [refusalFor(payment)], reference: interactionId })
  return {
    status: 202,
    headers: { location: `/api/v1/transactions/${payment.id}` },
    body: {
      transaction_id: payment.id,
      transaction_ref: payment.endToEndIdentification,
      status,
      amount_cents: cents(payment.amount),
    },
  }
}

function refusalFor({ rejectionReason }: Payment): Refusal<BankRefusal> {
  if (rejectionReason === 'AM04') return new Refusal('insufficient_funds', 'the account does not have the funds for this transfer')
  if (rejectionReason === 'AM02' || rejectionReason === 'AM14') return new Refusal('payment_over_limit', rejectionReasons[rejectionReason])
  return new Refusal('account_not_usable', 'one of the accounts cannot be used for this transfer')
}
