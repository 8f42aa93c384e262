/** Fresh bodies, so that a test may change what it likes. */
export function paymentConsentBody({ amount = '165.88', currency = 'GBP', identification = '08080021325698' } = {}) {
  return {
    Data: {
      Initiation: {
        InstructionIdentification: 'ACME412',
        EndToEndIdentification: 'FRESCO.21302.GFX.20',
        InstructedAmount: { Amount: amount, Currency: currency },
        CreditorAccount: { SchemeName: 'UK.OBIE.SortCodeAccountNumber', Identification: identification, Name: 'ACME Inc' },
        RemittanceInformation: {
          Structured: [{ CreditorReferenceInformation: { Reference: 'FRESCO-101' } }],
          Unstructured: ['Internal ops code 5120101'],
        },
      },
    },
    Risk: { PaymentContextCode: 'EcommerceMerchantInitiatedPayment', MerchantCategoryCode: '5967' },
  }
}

/** A copy with one leaf set, or removed when the value is undefined: `Data.Initiation.InstructedAmount.Amount`. */
export function changed<Body extends object>(body: Body, path: string, value: unknown): Body {
  const copy = structuredClone(body)
  const names = path.split('.')
  const last = names.pop() ?? ''
  // biome-ignore lint/suspicious/noExplicitAny: it walks whatever body a test has
  const parent = names.reduce((place: any, name) => (place[name] ??= {}), copy)
  if (value === undefined) delete parent[last]
  else parent[last] = value
  return copy
}
