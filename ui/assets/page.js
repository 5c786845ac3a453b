() => {
    // What the page does without asking the server: follow the end of the conversation, keys, copying, the large
    // picture, and on a phone the evidence over the conversation. It never writes HTML.
    const phone = window.matchMedia('(max-width: 820px)');
    let opener = null;
    let current = '';  // "turn:citation" of the source that is open
    let newest = '';  // the turn whose first source was opened by itself

    const followTheEnd = (log) => {
        let atEnd = true;
        log.setAttribute('role', 'log');
        log.setAttribute('aria-label', 'Conversation');
        log.addEventListener('scroll', () => {
            atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 80;
        });
        const settle = () => { if (atEnd) log.scrollTop = log.scrollHeight; };
        const changed = () => { settle(); openFirst(); markCurrent(); };
        const watched = {subtree: true, childList: true, characterData: true, attributeFilter: ['aria-busy']};
        new MutationObserver(changed).observe(log, watched);
        document.addEventListener('keydown', (key) => {
            if (key.key === 'Enter' && key.target.closest?.('#pv-question')) atEnd = true;
        });
    };

    // The first source of a new answer opens by itself, where there is room beside the answer. It goes the way of
    // a person's click, so that whoever clicks another one meanwhile keeps what they chose.
    const openFirst = () => {
        const chip = document.querySelector('#pv-live .pv-answer .pv-chip');
        if (!chip) newest = '';
        if (document.querySelector('#pv-past .pv-welcome')) current = '';
        if (!chip || phone.matches) return;
        const turn = chip.dataset.open.split(':')[0];
        if (turn === newest || current.split(':')[0] === turn) return;
        newest = turn;
        chip.click();
    };

    const markCurrent = () => {
        document.querySelectorAll('#pv-log [data-open]').forEach((one) => {
            if (one.dataset.open === current) one.setAttribute('aria-current', 'true');
            else one.removeAttribute('aria-current');
        });
    };

    const openEvidence = (button) => {
        current = button.dataset.open;
        markCurrent();
        if (!button.closest('#pv-evidence')) opener = button;
        document.body.classList.add('pv-evidence-open');
        if (phone.matches) document.querySelector('.pv-panel')?.focus();
    };

    // Answers to two quick clicks may overtake each other: what was chosen last is asked for again.
    const showCurrent = () => {
        const shown = document.querySelector('.pv-panel')?.dataset.shown;
        if (!shown || !current || shown === current) return;
        document.querySelector(`#pv-log [data-open="${CSS.escape(current)}"]`)?.click();
    };

    const closeEvidence = () => {
        document.body.classList.remove('pv-evidence-open');
        opener?.focus();
    };

    const copy = async (button) => {
        const words = button.dataset.copy;
        const done = navigator.clipboard ? await navigator.clipboard.writeText(words).then(() => true, () => false) : oldCopy(words);
        const label = button.textContent;
        button.textContent = done ? 'Copied' : 'Select it and copy';
        setTimeout(() => { button.textContent = label; }, 1600);
    };

    const oldCopy = (words) => {
        const field = document.createElement('textarea');
        field.value = words;
        document.body.append(field);
        field.select();
        const done = document.execCommand('copy');
        field.remove();
        return done;
    };

    const enlarge = (button) => {
        const dialog = document.createElement('dialog');
        const close = document.createElement('button');
        const picture = button.querySelector('img').cloneNode();
        dialog.id = 'pv-large';
        dialog.setAttribute('aria-label', picture.alt);
        close.textContent = 'Close';
        dialog.append(close, picture);
        dialog.addEventListener('click', () => dialog.close());
        dialog.addEventListener('close', () => dialog.remove());
        document.querySelector('.gradio-container').append(dialog);
        dialog.showModal();
    };

    document.addEventListener('click', (click) => {
        const button = click.target.closest?.('[data-open], [data-close], [data-copy], [data-zoom]');
        if (!button) return;
        if (button.dataset.open) openEvidence(button);
        else if (button.dataset.copy) copy(button);
        else if (button.dataset.zoom) enlarge(button);
        else closeEvidence();
    });

    document.addEventListener('keydown', (key) => {
        if (key.key !== 'Escape' || document.querySelector('#pv-large')) return;
        const stop = document.querySelector('#pv-stop');
        if (stop?.offsetParent) stop.click();
        else if (phone.matches && document.body.classList.contains('pv-evidence-open')) closeEvidence();
    });

    // An empty question, or one while the last is being answered, is not sent; what was typed stays.
    const cannotAsk = () => {
        const typed = document.querySelector('#pv-question textarea')?.value.trim();
        return !typed || document.querySelector('#pv-live [aria-busy="true"]');
    };

    const hold = (happened) => {
        happened.preventDefault();
        happened.stopImmediatePropagation();
    };

    const holdEnter = (key) => {
        const sends = key.key === 'Enter' && !key.shiftKey && key.target.closest?.('#pv-question');
        if (sends && cannotAsk()) hold(key);
    };

    document.addEventListener('keydown', holdEnter, true);
    document.addEventListener('keypress', holdEnter, true);
    document.addEventListener('click', (click) => {
        if (click.target.closest?.('#pv-send') && cannotAsk()) hold(click);
    }, true);

    const whenThere = new MutationObserver(() => {
        const log = document.querySelector('#pv-log');
        if (!log || !document.querySelector('#pv-evidence')) return;
        whenThere.disconnect();
        followTheEnd(log);
        const watched = {subtree: true, childList: true, attributeFilter: ['data-shown']};
        new MutationObserver(showCurrent).observe(document.querySelector('#pv-evidence'), watched);
    });
    whenThere.observe(document.body, {subtree: true, childList: true, attributes: true});
}
