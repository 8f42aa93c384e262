import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseOptions } from './options.ts'
import { chooseNamed } from './paths.ts'

test('what is not a number within its limits is refused with its name', () => {
  assert.throws(() => parseOptions(['--rounds', '0']), /--rounds takes a number from 1/)
  assert.throws(() => parseOptions(['--seconds', 'soon']), /--seconds/)
})
test('a database without a self-check is refused: the product brings its own', () => {
  assert.throws(() => parseOptions(['--database', 'postgres://localhost/x']), /--self-check/)
})
test('an unknown option is refused', () => assert.throws(() => parseOptions(['--fast'])))
test('paths are a list', () => assert.deepEqual(parseOptions(['--paths', 'code,balance']).paths, ['code', 'balance']))
test('a path is chosen by a part of its name, in any case; one that nothing is called is refused', () => {
  const named = [{ name: 'PAR' }, { name: 'code flow' }]
  assert.deepEqual(chooseNamed(named, ['par']), [{ name: 'PAR' }])
  assert.deepEqual(chooseNamed(named, []), named)
  assert.throws(() => chooseNamed(named, ['par', 'tokens']), /nothing is called tokens: PAR; code flow/)
})
