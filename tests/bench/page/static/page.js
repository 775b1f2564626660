'use strict';
const $ = id => document.getElementById(id);
let goods = [], last = {}, quiet;

function say(text) {
  $('say').textContent = text;
  clearTimeout(quiet);
  quiet = setTimeout(() => $('say').textContent = '', 4000);
}

async function send(path, fields) {
  try {
    const r = await fetch(path, {method: 'POST', body: new URLSearchParams(fields)});
    if (!r.ok) say(await r.text());
  } catch (e) {
    say('ベンチに届きません / the bench does not answer');
  }
}

function label(el, ja, en) {
  const i = document.createElement('i');
  i.textContent = en;
  el.replaceChildren(ja + ' ', i);
}

function shelf() {
  const want = $('find').value.trim().toLowerCase();
  const shown = goods.filter(g => !want || g.name.toLowerCase().includes(want) || g.code.includes(want));
  $('goods').replaceChildren(...shown.map(g => {
    const b = document.createElement('button'), name = document.createElement('b'), row = document.createElement('span'), price = document.createElement('em');
    name.textContent = g.name;
    price.textContent = '¥' + g.price.toLocaleString() + (g.reduced ? ' ※' : '');
    row.append(g.code, price);
    b.append(name, row);
    b.onclick = () => send('scan', {code: g.code});
    return b;
  }));
}

function faults(list) {
  $('faults').replaceChildren(...list.map(f => {
    const b = document.createElement('button');
    label(b, f.Name, f.Device);
    b.setAttribute('aria-pressed', f.On);
    b.onclick = () => send('fault', {id: f.ID, on: !f.On});
    return b;
  }));
}

function show(s) {
  document.body.classList.toggle('running', s.Running);
  document.body.classList.toggle('lit', s.Running && s.Screen !== '');
  document.body.classList.toggle('open', s.Drawer);
  document.body.classList.toggle('printed', s.Paper !== '');
  if (s.Screen && s.Screen !== last.Screen) $('screen').src = 'screen.png?' + s.Screen;
  if (s.Paper && s.Paper !== last.Paper) {
    $('paper').onload = () => $('tape').scrollTop = $('tape').scrollHeight;
    $('paper').src = 'paper.png?' + s.Paper;
  }
  $('count').textContent = s.Receipts ? s.Receipts + '枚' : '';
  label($('drawerstate'), s.Drawer ? '引き出しが開いています' : '引き出しは閉まっています', s.Drawer ? 'Drawer open' : 'Drawer shut');
  if (JSON.stringify(s.Faults) !== JSON.stringify(last.Faults)) faults(s.Faults || []);
  $('notes').textContent = s.Notes;
  last = s;
}

$('screen').onpointerdown = e => {
  const r = e.target.getBoundingClientRect();
  send('tap', {x: Math.floor((e.clientX - r.left) * last.Width / r.width), y: Math.floor((e.clientY - r.top) * last.Height / r.height)});
};
$('find').oninput = shelf;
$('typed').onsubmit = e => { e.preventDefault(); send('scan', {code: $('code').value}); $('code').select(); };
$('close').onclick = () => send('drawer', {});
$('cut').onclick = () => send('power', {on: false});
$('on').onclick = () => send('power', {on: true});
fetch('goods').then(r => r.json()).then(g => { goods = g; shelf(); });
const events = new EventSource('events');
events.onmessage = e => show(JSON.parse(e.data));
events.onerror = () => say('ベンチが終了しました / the bench has ended');
