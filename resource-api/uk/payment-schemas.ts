import { z } from 'zod'
import {
  amount,
  country,
  creditorAccount,
  dateTimeText,
  debtorAccount,
  externalCode,
  legalEntityIdentifier,
  postalAddress,
  supplementaryData,
  text,
} from './field-types.ts'

/** What a third party may send to be paid, member by member: anything else is unexpected (RW-D-06, PIS-02). */

const party = z.strictObject({
  Name: text(140).optional(),
  Identification: text(256).optional(),
  LEI: legalEntityIdentifier.optional(),
  SchemeName: text(70).optional(),
  PostalAddress: postalAddress.optional(),
})

const creditorAgent = z.strictObject({
  SchemeName: text(70).optional(),
  Identification: text(35).optional(),
  Name: text(140).optional(),
  LEI: legalEntityIdentifier.optional(),
  PostalAddress: postalAddress.optional(),
})

const listLimit = 100

const referredDocument = z.strictObject({
  Code: externalCode.optional(),
  Issuer: text(35).optional(),
  Number: text(35).optional(),
  RelatedDate: dateTimeText.optional(),
  LineDetails: z.array(text(140)).max(listLimit).optional(),
})

const remittanceInformation = z.strictObject({
  Structured: z
    .array(
      z.strictObject({
        ReferredDocumentInformation: z.array(referredDocument).max(listLimit).optional(),
        ReferredDocumentAmount: z.int32().optional(),
        CreditorReferenceInformation: z
          .strictObject({ Code: externalCode.optional(), Issuer: text(35).optional(), Reference: text(35).optional() })
          .optional(),
        Invoicer: text(256).optional(),
        Invoicee: text(256).optional(),
        TaxRemittance: text(140).optional(),
        AdditionalRemittanceInformation: z.array(text(140)).max(3).optional(),
      }),
    )
    .max(listLimit)
    .optional(),
  Unstructured: z.array(text(140)).max(listLimit).optional(),
})

const regulatoryReporting = z.strictObject({
  DebitCreditReportingIndicator: z.enum(['CRED', 'DEBT', 'BOTH']).optional(),
  Authority: z.strictObject({ Name: text(140).optional(), CountryCode: country.optional() }).optional(),
  Details: z
    .array(
      z.strictObject({
        Type: text(35).optional(),
        Date: dateTimeText.optional(),
        Country: country.optional(),
        Amount: amount.optional(),
        Information: z.array(text(35)).max(listLimit).optional(),
      }),
    )
    .max(listLimit)
    .optional(),
})

/** Money leaves by Faster Payments, or does not leave at all. */
const localInstrument = z.string().refine((value) => value === 'UK.OBIE.FPS', {
  params: { refusal: 'instrument_unsupported' },
  message: 'payments are made by UK.OBIE.FPS',
})

const initiation = z.strictObject({
  InstructionIdentification: text(35),
  EndToEndIdentification: text(35),
  LocalInstrument: localInstrument.optional(),
  InstructedAmount: amount,
  DebtorAccount: debtorAccount.optional(),
  CreditorAgent: creditorAgent.optional(),
  CreditorAccount: creditorAccount,
  CreditorPostalAddress: postalAddress.optional(),
  UltimateCreditor: party.optional(),
  UltimateDebtor: party.optional(),
  RegulatoryReporting: z.array(regulatoryReporting).max(10).optional(),
  RemittanceInformation: remittanceInformation.optional(),
  SupplementaryData: supplementaryData.optional(),
})

const paymentContexts = [
  ...['BillingGoodsAndServicesInAdvance', 'BillingGoodsAndServicesInArrears', 'EcommerceMerchantInitiatedPayment'],
  ...['FaceToFacePointOfSale', 'TransferToSelf', 'TransferToThirdParty'],
]
const beneficiaryAccountTypes = [
  ...['Business', 'BusinessSavingsAccount', 'Charity', 'Collection', 'Corporate', 'Ewallet', 'Government', 'Investment', 'ISA'],
  ...['JointPersonal', 'Pension', 'Personal', 'PersonalSavingsAccount', 'Premier', 'Wealth'],
]

/** Hints, every one optional: a payment is never refused for lack of one (PIS-24). */
const risk = z.strictObject({
  PaymentContextCode: z.enum(paymentContexts).optional(),
  MerchantCategoryCode: text(4, 3).optional(),
  MerchantCustomerIdentification: text(70).optional(),
  ContractPresentIndicator: z.boolean().optional(),
  BeneficiaryPrepopulatedIndicator: z.boolean().optional(),
  PaymentPurposeCode: externalCode.optional(),
  CategoryPurposeCode: externalCode.optional(),
  BeneficiaryAccountType: z.enum(beneficiaryAccountTypes).optional(),
  DeliveryAddress: postalAddress.optional(),
})

export const domesticPaymentConsentRequest = z.strictObject({
  Data: z.strictObject({
    Initiation: initiation,
    ReadRefundAccount: z.enum(['Yes', 'No']).optional(),
    Authorisation: z.strictObject({ AuthorisationType: z.enum(['Any', 'Single']), CompletionDateTime: dateTimeText.optional() }).optional(),
    SCASupportData: z
      .strictObject({
        RequestedSCAExemptionType: z
          .enum(['BillPayment', 'ContactlessTravel', 'EcommerceGoods', 'EcommerceServices', 'Kiosk', 'Parking', 'PartyToParty'])
          .optional(),
        AppliedAuthenticationApproach: z.enum(['CA', 'SCA']).optional(),
        ReferencePaymentOrderId: text(40).optional(),
      })
      .optional(),
  }),
  Risk: risk,
})

export const domesticPaymentRequest = z.strictObject({
  Data: z.strictObject({ ConsentId: text(128), Initiation: initiation }),
  Risk: risk,
})
