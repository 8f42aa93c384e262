import type { PaymentConsent } from '@bankside/bank/consents/consent'
import { getConsent } from '@bankside/bank/consents/get-consent'
import { lodgeDomesticPaymentConsent } from '@bankside/bank/consents/lodge-domestic-payment-consent'
import type { ConsentId } from '@bankside/bank/ids'
import { parseMoney } from '@bankside/bank/money'
import { confirmFunds } from '@bankside/bank/payments/confirm-funds'
import { refuse } from '@bankside/bank/refusal'
import type { z } from 'zod'
import type { Call, Reply } from '../api.ts'
import { dottedPath, parseBody } from '../parse-body.ts'
import { renderStatusReason } from './account-access-consents.ts'
import { domesticPaymentConsentRequest } from './payment-schemas.ts'
import { dateTime, ukReply, ukUrl, withoutUndefined } from './reply.ts'

type ConsentRequest = z.output<typeof domesticPaymentConsentRequest>
export type SentInitiation = ConsentRequest['Data']['Initiation']

/** POST /domestic-payment-consents */
export async function createDomesticPaymentConsent(call: Call, consentId: ConsentId): Promise<Reply> {
  const { tx, access, body, interactionId, now } = call
  const { Initiation } = parseBody(domesticPaymentConsentRequest, body, dottedPath).Data
  const { InstructedAmount, CreditorAccount, DebtorAccount } = Initiation
  const consent = await lodgeDomesticPaymentConsent(tx, {
    consentId,
    clientId: access.clientId,
    request: body,
    amount: parseMoney(InstructedAmount.Amount, InstructedAmount.Currency, 'Data.Initiation.InstructedAmount'),
    creditor: { schemeName: CreditorAccount.SchemeName, identification: CreditorAccount.Identification, name: CreditorAccount.Name },
    debtor: DebtorAccount && { schemeName: DebtorAccount.SchemeName, identification: DebtorAccount.Identification },
    reference: referenceOf(Initiation),
    interactionId,
    now,
  })
  return renderConsent(call, 201, consent)
}

/** What both statements show: the creditor's own reference before the free text. */
function referenceOf({ RemittanceInformation }: SentInitiation): string | undefined {
  const structured = RemittanceInformation?.Structured?.map(({ CreditorReferenceInformation }) => CreditorReferenceInformation?.Reference)
  return structured?.find((reference) => reference !== undefined) ?? RemittanceInformation?.Unstructured?.[0]
}

export async function renderCreatedConsent(call: Call, consentId: string): Promise<Reply> {
  return renderConsent(call, 201, await findPaymentConsent(call, consentId))
}

/** GET /domestic-payment-consents/{ConsentId} */
export async function readDomesticPaymentConsent(call: Call): Promise<Reply> {
  return renderConsent(call, 200, await findPaymentConsent(call, call.parameters['consentId'] ?? ''))
}

/** GET /domestic-payment-consents/{ConsentId}/funds-confirmation */
export async function readFundsConfirmation(call: Call): Promise<Reply> {
  const { tx, access, parameters, now } = call
  const available = await confirmFunds(tx, { access, consentId: parameters['consentId'] ?? '', now })
  return ukReply(call, 200, { Data: { FundsAvailableResult: { FundsAvailableDateTime: dateTime(now), FundsAvailable: available } } })
}

export async function findPaymentConsent({ tx, access }: Call, consentId: string): Promise<PaymentConsent> {
  const consent = await getConsent(tx, { consentId, clientId: access.clientId })
  if (consent.kind !== 'domestic_payment') refuse('consent_not_found', 'no such domestic payment consent')
  return consent
}

export const sentWith = ({ request }: Pick<PaymentConsent, 'request'>): ConsentRequest => request as ConsentRequest

function renderConsent(call: Call, status: 200 | 201, consent: PaymentConsent): Reply {
  const { Data: sent, Risk } = sentWith(consent)
  const Data = withoutUndefined({
    ConsentId: consent.id,
    CreationDateTime: dateTime(consent.createdAt),
    Status: consent.status,
    StatusReason: renderStatusReason(consent),
    StatusUpdateDateTime: dateTime(consent.statusUpdatedAt),
    ReadRefundAccount: sent.ReadRefundAccount,
    Initiation: sent.Initiation,
    Authorisation: sent.Authorisation,
    SCASupportData: sent.SCASupportData,
  })
  return ukReply(call, status, { Data, Risk }, { self: ukUrl(call, 'pisp/domestic-payment-consents', consent.id) })
}
