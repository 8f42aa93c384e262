import { proveToViewer } from '@bankside/bank/audit/prove-to-viewer'
import { getPayment } from '@bankside/bank/payments/get-payment'
import { getRefundAccount } from '@bankside/bank/payments/get-refund-account'
import { type Payment, rejectionReasons } from '@bankside/bank/payments/payment'
import type { Initiation, Made } from '@bankside/bank/payments/payment-order'
import type { Call, Reply } from '../api.ts'
import { dottedPath, parseBody } from '../parse-body.ts'
import { findPaymentConsent, sentWith } from './domestic-payment-consents.ts'
import { domesticPaymentRequest } from './payment-schemas.ts'
import { dateTime, ukReply, ukUrl, withoutUndefined } from './reply.ts'

/** POST /domestic-payments */
export function orderDomesticPayment({ body }: Call): { readonly consentId: string } & Initiation {
  const ConsentId = consentNamedIn(body)
  // What repeats its consent leaf by leaf is as good as that: all that is to be looked at is what stands beside.
  if (ConsentId === undefined || !isOnly(body, ['Data', 'Risk']) || !isOnly((body as { Data: unknown }).Data, ['ConsentId', 'Initiation']))
    checkDomesticPayment(body)
  return { consentId: ConsentId as string, channel: 'uk_v4', initiation: sentAs(body) }
}

export const checkDomesticPayment = (body: unknown): void => void parseBody(domesticPaymentRequest, body, dottedPath)

const isOnly = (object: unknown, names: readonly string[]): boolean =>
  typeof object === 'object' && object !== null && Object.keys(object).every((name) => names.includes(name))

/** As it was sent, not as it was parsed: the bank compares every leaf with the consent (PIS-13). */
function sentAs(body: unknown): { readonly Initiation: unknown; readonly Risk: unknown } {
  const { Data, Risk } = body as { Data: { Initiation: unknown }; Risk: unknown }
  return { Initiation: Data.Initiation, Risk }
}

/** What was sent is what was agreed to. */
export async function renderMadePayment(call: Call, { made, asksForRefund }: Made): Promise<Reply> {
  return renderPayment(call, 201, made, { asksForRefund, Initiation: sentAs(call.body).Initiation, Status: statusAtFirst(made) })
}

export async function renderCreatedPayment(call: Call, paymentId: string): Promise<Reply> {
  return findAndRender(call, 201, paymentId)
}

/** GET /domestic-payments/{DomesticPaymentId} */
export async function readDomesticPayment(call: Call): Promise<Reply> {
  return findAndRender(call, 200, call.parameters['paymentId'] ?? '')
}

/** GET /domestic-payments/{DomesticPaymentId}/proof: a document by itself, to be kept and checked without the bank. */
export async function readPaymentProof({ tx, access, parameters }: Call): Promise<Reply> {
  const payment = await getPayment(tx, { paymentId: parameters['paymentId'] ?? '', clientId: access.clientId })
  return { status: 200, body: await proveToViewer(tx, { paymentId: payment.id, audience: 'third-party' }) }
}

/** The consent that a request body names, for the access decision; what is wrong with it is said when the body is checked. */
export function consentNamedIn(body: unknown): string | undefined {
  const named = (body as { Data?: { ConsentId?: unknown } | null } | null)?.Data?.ConsentId
  return typeof named === 'string' ? named : undefined
}

async function findAndRender(call: Call, status: 200 | 201, paymentId: string): Promise<Reply> {
  const payment = await getPayment(call.tx, { paymentId, clientId: call.access.clientId })
  const { ReadRefundAccount, Initiation } = sentWith(await findPaymentConsent(call, payment.consentId)).Data
  return renderPayment(call, status, payment, { asksForRefund: ReadRefundAccount === 'Yes', Initiation, Status: statusOf(payment) })
}

type Told = { readonly asksForRefund: boolean; readonly Initiation: unknown; readonly Status: PaymentStatus }

async function renderPayment(call: Call, status: 200 | 201, payment: Payment, { asksForRefund, Initiation, Status }: Told): Promise<Reply> {
  const Data = withoutUndefined({
    DomesticPaymentId: payment.id,
    ConsentId: payment.consentId,
    CreationDateTime: dateTime(payment.createdAt),
    Status,
    StatusUpdateDateTime: dateTime(payment.statusUpdatedAt),
    StatusReason: reasonOf(payment),
    Refund: asksForRefund ? await refundOf(call, payment) : undefined,
    Initiation,
  })
  return ukReply(call, status, { Data }, { self: ukUrl(call, 'pisp/domestic-payments', payment.id) })
}

/** The number and name that the payer would give the payee themselves, and nothing more of their account (PIS-08). */
async function refundOf({ tx }: Call, payment: Payment): Promise<object | undefined> {
  const account = await getRefundAccount(tx, payment)
  return account && { Account: { SchemeName: account.schemeName, Identification: account.identification, Name: account.name } }
}

type PaymentStatus = 'RCVD' | 'PDNG' | 'ACTC' | 'ACSP' | 'ACSC' | 'ACCC' | 'RJCT'

/** Received, checked further by a person, about to be settled; then settled on the debtor's side, and, when the creditor banks here, credited as well. */
function statusOf({ status, step, creditorIsOurs }: Payment): PaymentStatus {
  if (status === 'posted') return creditorIsOurs ? 'ACCC' : 'ACSC'
  if (status === 'rejected') return 'RJCT'
  return step === 'cleared' ? 'ACSP' : step === 'review' ? 'PDNG' : 'RCVD'
}

/** PIS-16: of a payment that was posted at once, that it was accepted. What became of it is told when it is read, or asked for again. */
const statusAtFirst = (payment: Payment): PaymentStatus => (payment.status === 'posted' ? 'ACTC' : statusOf(payment))

function reasonOf({ rejectionReason }: Payment): object[] | undefined {
  return rejectionReason && [{ StatusReasonCode: rejectionReason, StatusReasonDescription: rejectionReasons[rejectionReason] }]
}
