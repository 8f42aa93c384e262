import type { AccountAccessConsent } from '@bankside/bank/consents/consent'
import { deleteConsent } from '@bankside/bank/consents/delete-consent'
import { getConsent } from '@bankside/bank/consents/get-consent'
import { lodgeAccountAccessConsent } from '@bankside/bank/consents/lodge-account-access-consent'
import { validatePermissions } from '@bankside/bank/consents/permission'
import { refuse } from '@bankside/bank/refusal'
import { z } from 'zod'
import type { Call, Reply } from '../api.ts'
import { parseDateTime } from '../dates.ts'
import { dottedPath, parseBody } from '../parse-body.ts'
import { dateTimeText, reportRefusal } from './field-types.ts'
import { dateTime, ukReply, ukUrl, withoutUndefined } from './reply.ts'

/** Null is taken for "none": the standard asks for whatever is sent to be accepted (D15). Other members are not looked at. */
const optionalDateTime = dateTimeText.nullish()

const consentRequest = (now: Date) =>
  z.object({
    Data: z.object({
      Permissions: z
        .array(z.string())
        .superRefine((permissions, context) => reportRefusal(context, () => validatePermissions(permissions, ''))),
      ExpirationDateTime: optionalDateTime.refine((text) => (dateOf(text) ?? eternity) > now, {
        params: { refusal: 'date_invalid' },
        message: 'must be in the future',
      }),
      TransactionFromDateTime: optionalDateTime,
      TransactionToDateTime: optionalDateTime,
    }),
    Risk: z.strictObject({}),
  })

/** POST /account-access-consents: not idempotent, two calls make two consents (RW-ID-01). */
export async function createAccountAccessConsent(call: Call): Promise<Reply> {
  const { tx, access, body, interactionId, now } = call
  const { Data } = parseBody(consentRequest(now), body, dottedPath)
  const consent = await lodgeAccountAccessConsent(tx, {
    clientId: access.clientId,
    request: body,
    permissions: Data.Permissions,
    expiresAt: dateOf(Data.ExpirationDateTime),
    transactionFrom: dateOf(Data.TransactionFromDateTime),
    transactionTo: dateOf(Data.TransactionToDateTime),
    interactionId,
    now,
  })
  return renderConsent(call, 201, consent)
}

/** GET /account-access-consents/{ConsentId} */
export async function readAccountAccessConsent(call: Call): Promise<Reply> {
  return renderConsent(call, 200, await findConsent(call))
}

/** DELETE /account-access-consents/{ConsentId}: from now on it is as if it had never been (CON-08). */
export async function deleteAccountAccessConsent(call: Call): Promise<Reply> {
  const { id } = await findConsent(call)
  const { tx, access, interactionId, now } = call
  await deleteConsent(tx, { consentId: id, clientId: access.clientId, interactionId, now })
  return { status: 204 }
}

async function findConsent({ tx, access, parameters }: Call): Promise<AccountAccessConsent> {
  const consent = await getConsent(tx, { consentId: parameters['consentId'] ?? '', clientId: access.clientId })
  if (consent.kind !== 'account_access') refuse('consent_not_found', 'no such account access consent')
  return consent
}

/** Dates and permissions are echoed as they were sent (CON-04). */
function renderConsent(call: Call, status: 200 | 201, consent: AccountAccessConsent): Reply {
  const { Data: sent } = consent.request as z.output<ReturnType<typeof consentRequest>>
  const Data = withoutUndefined({
    ConsentId: consent.id,
    CreationDateTime: dateTime(consent.createdAt),
    Status: consent.status,
    StatusReason: renderStatusReason(consent),
    StatusUpdateDateTime: dateTime(consent.statusUpdatedAt),
    Permissions: sent.Permissions,
    ExpirationDateTime: sent.ExpirationDateTime,
    TransactionFromDateTime: sent.TransactionFromDateTime,
    TransactionToDateTime: sent.TransactionToDateTime,
  })
  return ukReply(call, status, { Data, Risk: {} }, { self: ukUrl(call, 'aisp/account-access-consents', consent.id) })
}

export function renderStatusReason({ statusReason }: Pick<AccountAccessConsent, 'statusReason'>): object[] | undefined {
  return statusReason && [{ StatusReasonCode: statusReason.code, StatusReasonDescription: statusReason.description }]
}

const eternity = new Date(8.64e15)
const dateOf = (text: string | null | undefined): Date | undefined => (text ? parseDateTime(text) : undefined)
